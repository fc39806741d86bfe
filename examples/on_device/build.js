// Bundles the page into dist/, with the runtime's WebAssembly and the pack's networks beside it:
// nothing is fetched from elsewhere when the page runs. Usage: node build.js PACK_FOLDER
import { build } from 'esbuild'
import { cp, mkdir, rm } from 'node:fs/promises'

const RUNTIME = 'node_modules/onnxruntime-web/dist'
const NETWORKS = ['detector_short.onnx', 'face_mesh.onnx']
// The runtime for WebAssembly alone, and the one that also knows WebGPU: a browser loads one of them.
const VARIANTS = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify']

const pack = process.argv[2]
if (!pack) throw new Error('Say where the pack is: npm run build -- ../../var/packs/open')

await rm('dist', { recursive: true, force: true })
for (const folder of ['dist/wasm', 'dist/models']) await mkdir(folder, { recursive: true })
await build({
  entryPoints: ['src/main.js', 'src/swapper_worker.js'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'linked',
})

for (const name of NETWORKS) await cp(`${pack}/${name}`, `dist/models/${name}`)
for (const page of ['index.html', 'style.css']) await cp(page, `dist/${page}`)
for (const name of VARIANTS) {
  for (const suffix of ['mjs', 'wasm']) await cp(`${RUNTIME}/${name}.${suffix}`, `dist/wasm/${name}.${suffix}`)
}
