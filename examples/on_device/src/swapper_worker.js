// The swapping network beside the page, so that the page places one face while it works on another.

import { loadRuntime, Network } from './networks.js'

let network = null

onmessage = async ({ data: { model, arrays } }) => {
  try {
    if (model) network = await Network.load(await loadRuntime('wasm', 'wasm/'), model, 'wasm')
    const outputs = arrays ? await network.run(arrays) : {}
    postMessage({ outputs }, Object.values(outputs).map((values) => values.buffer))
  } catch (error) {
    postMessage({ problem: error.message })
  }
}
