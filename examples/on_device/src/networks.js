// The three networks of the page, on LiteRT: WebGPU where there is one, else WebAssembly.

import { isWebGPUSupported, loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core'

// Threads need shared memory, which browsers give to pages that isolate themselves by two headers.
const THREADS = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1

/** Load the runtime; `folder` holds its WebAssembly. */
export async function loadRuntime(folder) {
  await loadLiteRt(folder)
}

/** Return "webgpu" or "wasm": where networks of this page run. */
export async function accelerator() {
  if (!isWebGPUSupported() || !(await navigator.gpu?.requestAdapter())) return 'wasm'
  return 'webgpu'
}

/** A network on inputs and outputs that are Float32Arrays, by name. */
export class Network {
  constructor(model, inputs) {
    this.model = model
    this.shapes = Object.fromEntries(inputs.map(({ name, shape }) => [name, [...shape]]))
  }

  static async load(model, device) {
    const compiled = await loadAndCompile(model, { accelerator: device, cpuOptions: { numThreads: THREADS } })
    return new Network(compiled, compiled.getInputDetails())
  }

  /** The names of the inputs, in order. */
  get inputs() {
    return Object.keys(this.shapes)
  }

  /** Return the outputs by name; `arrays` are the inputs, in order. */
  async run(...arrays) {
    const tensors = Object.fromEntries(
      this.inputs.map((name, i) => [name, new Tensor(arrays[i], this.shapes[name])])
    )
    const results = await this.model.run(tensors)
    const outputs = {}

    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = (await tensor.data()).slice()
      tensor.delete()
    }

    for (const tensor of Object.values(tensors)) if (!tensor.deleted) tensor.delete()
    return outputs
  }
}
