// The three networks of the page, on ONNX Runtime: WebGPU where there is one, else WebAssembly, where
// the large one runs in a worker.

// A second thread spins on the core that decodes the video: frames then take longer, not less.
const THREADS = 1

/** Return "webgpu" or "wasm": where the swapping network of this page runs. */
export async function accelerator() {
  return (await navigator.gpu?.requestAdapter()) ? 'webgpu' : 'wasm'
}

/** Load the runtime for a device; `folder` holds its WebAssembly. The GPU's is twice as large. */
export async function loadRuntime(device, folder) {
  const runtime =
    device === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm')
  runtime.env.wasm.numThreads = THREADS
  runtime.env.wasm.wasmPaths = new URL(folder, location.href).href
  return runtime
}

/** A network on inputs and outputs that are Float32Arrays: planes of red, green and blue in 0..1. */
export class Network {
  constructor(runtime, session) {
    this.runtime = runtime
    this.session = session
    this.shapes = Object.fromEntries(session.inputMetadata.map(({ name, shape }) => [name, shape]))
  }

  static async load(runtime, model, device) {
    return new Network(runtime, await runtime.InferenceSession.create(model, { executionProviders: [device] }))
  }

  /** Return the outputs by name; `arrays` are the inputs by name. */
  async run(arrays) {
    const { Tensor } = this.runtime
    const tensors = Object.entries(this.shapes).map(([name, shape]) => [name, new Tensor('float32', arrays[name], shape)])
    const results = await this.session.run(Object.fromEntries(tensors))

    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensor.data]))
  }
}

/** A network on WebAssembly in a worker of its own; asked once at a time, as `Network` is. */
export class NetworkBeside {
  constructor() {
    this.worker = new Worker(new URL('swapper_worker.js', location.href), { type: 'module' })
  }

  static async load(model) {
    const network = new NetworkBeside()
    await network.ask({ model })
    return network
  }

  /** Return the outputs by name; the arrays by name are handed over, and no longer the caller's. */
  run(arrays) {
    return this.ask({ arrays }, Object.values(arrays).map((values) => values.buffer))
  }

  ask(message, handedOver = []) {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data: { outputs, problem } }) => (problem ? reject(new Error(problem)) : resolve(outputs))
      this.worker.onerror = (event) => reject(new Error(event.message))
      this.worker.postMessage(message, handedOver)
    })
  }

  close() {
    this.worker.terminate()
  }
}

/** Return RGBA bytes as planes of red, green and blue in 0..1. */
export function planes(pixels) {
  const count = pixels.length / 4
  const values = new Float32Array(3 * count)
  for (let i = 0; i < count; i++) {
    values[i] = pixels[4 * i] / 255
    values[count + i] = pixels[4 * i + 1] / 255
    values[2 * count + i] = pixels[4 * i + 2] / 255
  }
  return values
}
