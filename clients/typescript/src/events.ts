/** One server-sent event. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

// The service sends a comment every 15 seconds: three that are missing are a lost connection.
const SILENCE_MS = 45_000;

/**
 * Yield the events of a text/event-stream body.
 *
 * EventSource takes no Authorization header, so the stream is read by hand, as
 * https://html.spec.whatwg.org/multipage/server-sent-events.html says. Throws when nothing comes
 * for `silenceMs`.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  silenceMs = SILENCE_MS,
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";

  try {
    for (;;) {
      const { done, value } = await within(silenceMs, reader.read());
      if (done) return;
      waiting += decoder.decode(value, { stream: true }).replaceAll("\r\n", "\n");

      for (let end = waiting.indexOf("\n\n"); end >= 0; end = waiting.indexOf("\n\n")) {
        const event = parse(waiting.slice(0, end));
        waiting = waiting.slice(end + 2);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel();
  }
}

async function within<Value>(ms: number, promised: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the stream was silent for ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promised, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Return the event of a block of lines; undefined for one that is only comments. */
function parse(block: string): ServerSentEvent | undefined {
  const event: ServerSentEvent = { id: "", event: "message", data: "" };
  const data: string[] = [];

  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "id" || name === "event") event[name] = value;
  }

  return data.length ? { ...event, data: data.join("\n") } : undefined;
}
