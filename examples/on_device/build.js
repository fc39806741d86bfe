// Bundles the page into dist/, with the runtime's WebAssembly and the pack's networks beside it:
// nothing is fetched from elsewhere when the page runs. Usage: node build.js PACK_FOLDER
import { build } from 'esbuild'
import { cp, mkdir, rm } from 'node:fs/promises'

const RUNTIME = 'node_modules/@litertjs/core/wasm'
// The variants that LiteRT chooses between, by what the browser offers.
const NETWORKS = ['face_detector.tflite', 'face_mesh.tflite']
const VARIANTS = ['litert_wasm_internal', 'litert_wasm_threaded_internal', 'litert_wasm_compat_internal']

const pack = process.argv[2]
if (!pack) throw new Error('Say where the pack is: npm run build -- ../../var/packs/open')

await rm('dist', { recursive: true, force: true })
for (const folder of ['dist/wasm', 'dist/models']) await mkdir(folder, { recursive: true })
await build({
  entryPoints: ['src/main.js'],
  outfile: 'dist/main.js',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'linked',
})

for (const name of NETWORKS) await cp(`${pack}/${name}`, `dist/models/${name}`)
for (const page of ['index.html', 'style.css']) await cp(page, `dist/${page}`)
for (const name of VARIANTS) {
  for (const suffix of ['js', 'wasm']) await cp(`${RUNTIME}/${name}.${suffix}`, `dist/wasm/${name}.${suffix}`)
}
