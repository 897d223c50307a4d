/** How the extension is built, for each browser into a folder of its own. */

import { basename } from 'node:path'
import { type CrxPlugin, crx } from '@crxjs/vite-plugin'
import { defineConfig, type Plugin } from 'vite'
import { manifestFor } from './extension/manifest.ts'

// crxjs offers every injected script to web pages, by which any page could detect the extension. Nothing here needs
// that: scripting.executeScript reads the file from the extension itself.
const nothingForPages: CrxPlugin = {
  name: 'nothing-for-pages',
  enforce: 'post',
  renderCrxManifest: (rendered) => {
    delete rendered.web_accessible_resources
    return rendered
  },
}

// crxjs builds each injected script twice: by itself, as `content.js`, and with the rest, which nothing loads.
const noSecondCopies: Plugin = {
  name: 'no-second-copies',
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      const loaded = new Set<string>()
      const load = (fileName: string) => {
        const file = bundle[fileName]
        if (file?.type !== 'chunk' || loaded.has(fileName)) return
        loaded.add(fileName)
        for (const imported of [...file.imports, ...file.dynamicImports]) load(imported)
      }
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
      for (const { fileName, isEntry, facadeModuleId } of chunks) {
        if (isEntry && !bundle[basename(facadeModuleId ?? '').replace(/ts$/, 'js')]) load(fileName)
      }
      for (const { fileName } of chunks) if (!loaded.has(fileName)) delete bundle[fileName]
    },
  },
}

// Two folders: a person has one loaded while the other is built.
export default defineConfig(({ mode }) => {
  const firefox = mode === 'firefox'
  return {
    root: 'extension',
    plugins: [
      crx({ manifest: manifestFor(firefox ? 'firefox' : 'chromium'), browser: firefox ? 'firefox' : 'chrome' }),
      nothingForPages,
      noSecondCopies,
    ],
    build: {
      outDir: firefox ? 'dist-firefox' : 'dist',
      emptyOutDir: true,
      rolldownOptions: {
        input: { resume: 'extension/resume/resume.html' },
        // Without hashes: nothing is fetched from a cache, and crxjs's depend on the folder, by which a release could not be
        // made again elsewhere.
        output: {
          entryFileNames: 'assets/[name].js',
          chunkFileNames: 'assets/[name].js',
          assetFileNames: 'assets/[name][extname]',
        },
      },
    },
  }
})
