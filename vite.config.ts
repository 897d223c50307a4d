import { type CrxPlugin, crx } from '@crxjs/vite-plugin'
import { defineConfig } from 'vite'
import manifest from './extension/manifest.ts'

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

export default defineConfig({
  root: 'extension',
  plugins: [crx({ manifest }), nothingForPages],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    rolldownOptions: { input: { resume: 'extension/resume/resume.html' } },
  },
})
