// The page: an exported identity and a video or the camera in, the swapped video out. Nothing that is
// chosen here leaves the page.

import { BundleError, readBundle } from './bundle.js'
import { accelerator, loadRuntime, Network, NetworkBeside } from './networks.js'
import { Player } from './player.js'

const HEIGHT = 480 // frames are swapped at this height: what a phone's camera preview has
const UNPLAYABLE =
  'This browser cannot play that file as a video. Choose another one, or convert it to MP4 (H.264) or WebM (VP9).'
const byId = (id) => document.getElementById(id)
const state = { identity: null, player: null, source: null, running: false, device: '' }
// What is said of each: an identity stays refused while another video is chosen.
const messages = { identity: '', video: '', swap: '' }

byId('identity').addEventListener('change', (event) => attempt('identity', () => chooseIdentity(event.target.files[0])))
byId('clip').addEventListener('change', (event) => attempt('video', () => chooseVideo(event.target.files[0])))
byId('camera').addEventListener('click', () => attempt('video', chooseCamera))
byId('video').addEventListener('error', refuseVideo)
byId('agree').addEventListener('change', refresh)
byId('start').addEventListener('click', () => attempt('swap', state.running ? stop : start))

async function attempt(topic, action) {
  messages.swap = '' // it was about what was chosen then
  say(topic, '')
  try {
    await action()
  } catch (error) {
    console.error(error)
    say(topic, error instanceof BundleError ? error.message : `This did not work: ${error.message}`)
  }
  refresh()
}

async function chooseIdentity(file) {
  if (!file) return
  forgetIdentity()
  state.identity = await readBundle(await file.arrayBuffer())
  const { manifest } = state.identity
  byId('consent-text').replaceChildren(...withCode(manifest.consent_text))
  byId('expiry').textContent = new Date(manifest.expires_at).toLocaleDateString()
  byId('consent').hidden = false
}

/** A file that is refused must not leave the one before it ready to start, nor agreed to. */
function forgetIdentity() {
  unload()
  state.identity = null
  byId('agree').checked = false
  byId('consent').hidden = true
}

/** Return a text's parts, those between backticks as code. */
function withCode(text) {
  return text.split('`').map((part, i) => {
    if (i % 2 === 0) return part
    const code = document.createElement('code')
    code.textContent = part
    return code
  })
}

async function chooseVideo(file) {
  if (!file) return
  release()
  const video = byId('video')
  video.src = URL.createObjectURL(file)
  video.loop = true
  await play(video)
}

async function chooseCamera() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { height: HEIGHT } })
  release()
  const video = byId('video')
  video.srcObject = stream
  await play(video)
}

async function play(video) {
  try {
    await video.play()
  } catch (error) {
    // The first is answered by the error event; the second comes when another video is chosen meanwhile.
    if (['NotSupportedError', 'AbortError'].includes(error.name)) return
    throw error
  }

  // Of a file whose video it cannot decode, a browser plays the sound alone, without an error.
  if (video.videoWidth === 0) refuseVideo()
  else state.source = video
}

/** Say that the chosen file cannot be played; a swap that runs has nothing more to show. */
function refuseVideo() {
  stop()
  release()
  byId('figures').textContent = ''
  say('video', UNPLAYABLE)
  refresh()
}

function release() {
  state.source = null
  const video = byId('video')
  for (const track of video.srcObject?.getTracks() ?? []) track.stop()
  if (video.src) URL.revokeObjectURL(video.src)
  video.removeAttribute('src')
  video.srcObject = null
}

async function load() {
  state.device = await accelerator()
  const runtime = await loadRuntime(state.device, 'wasm/')
  const model = async (name) => new Uint8Array(await (await fetch(`models/${name}`)).arrayBuffer())
  // The small networks cost less than a trip to the GPU and back.
  const detector = await Network.load(runtime, await model('detector_short.onnx'), 'wasm')
  const mesh = await Network.load(runtime, await model('face_mesh.onnx'), 'wasm')
  const { network } = state.identity
  const swapper =
    state.device === 'webgpu' ? await Network.load(runtime, network, 'webgpu') : await NetworkBeside.load(network)

  state.player = new Player(state.identity, { detector, mesh, swapper })
}

async function start() {
  say('swap', 'Loading the networks …')
  if (state.player === null) await load()
  say('swap', '')
  if (state.source === null) return // the video failed meanwhile
  state.running = true
  refresh()
  void run()
}

function stop() {
  state.running = false
}

function unload() {
  stop()
  state.player?.close()
  state.player = null
}

async function run() {
  const canvas = byId('output')
  const context = canvas.getContext('2d')
  // The player holds one frame while the next one is taken.
  const free = [new OffscreenCanvas(1, HEIGHT), new OffscreenCanvas(1, HEIGHT)]
  const { player } = state
  let began = performance.now()
  let frames = 0

  while (state.running) {
    const { source } = state
    if (source !== null) {
      const width = Math.round((source.videoWidth / source.videoHeight) * HEIGHT)
      const frame = free.pop()
      if (frame.width !== width) frame.width = width
      frame.getContext('2d', { willReadFrequently: true }).drawImage(source, 0, 0, width, HEIGHT)
      const swapped = await player.take(frame)
      if (swapped) {
        show(swapped, canvas, context)
        free.push(swapped)
        frames++
      }
    }

    const passed = performance.now() - began
    if (passed > 1000 && state.running) {
      report(player, (frames * 1000) / passed)
      began += passed
      frames = 0
    }
    await turn()
  }
}

/** Let the page draw and answer: waiting for the screen's next refresh would cost half of one a frame. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}

function show(frame, canvas, context) {
  if (canvas.width !== frame.width) canvas.width = frame.width
  context.drawImage(frame, 0, 0)
  label(context)
}

/** Say on every frame what it is: the law asks for it, and so would we. */
function label(context) {
  context.save()
  context.font = '600 14px system-ui, sans-serif'
  context.fillStyle = 'rgb(0 0 0 / 60%)'
  context.fillRect(8, HEIGHT - 32, 120, 24)
  context.fillStyle = 'white'
  context.fillText('Made with AI', 18, HEIGHT - 15)
  context.restore()
}

function report({ times, frames }, fps) {
  const stages = Object.entries(times).map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
  byId('figures').textContent = `${fps.toFixed(1)} frames a second on ${state.device}; ms: ${stages.join(', ')}`
  window.likeness = { fps, times: { ...times }, device: state.device, frames }
}

function say(topic, text) {
  messages[topic] = text
  byId('message').textContent = Object.values(messages).filter(Boolean).join('\n')
}

function refresh() {
  const agreed = byId('agree').checked
  byId('start').disabled = !(state.identity && state.source && agreed)
  byId('start').textContent = state.running ? 'Stop' : 'Start'
}
