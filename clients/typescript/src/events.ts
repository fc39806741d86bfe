/** One server-sent event. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/**
 * Yield the events of a text/event-stream body.
 *
 * EventSource takes no Authorization header, so the stream is read by hand, as
 * https://html.spec.whatwg.org/multipage/server-sent-events.html says.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";

  try {
    for (;;) {
      const { done, value } = await reader.read();
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
