import { type CrxPlugin, crx } from '@crxjs/vite-plugin'
import { defineConfig } from 'vite'
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

// Two folders: a person has one loaded while the other is built.
export default defineConfig(({ mode }) => {
  const firefox = mode === 'firefox'
  return {
    root: 'extension',
    plugins: [
      crx({ manifest: manifestFor(firefox ? 'firefox' : 'chromium'), browser: firefox ? 'firefox' : 'chrome' }),
      nothingForPages,
    ],
    build: {
      outDir: firefox ? 'dist-firefox' : 'dist',
      emptyOutDir: true,
      rolldownOptions: { input: { resume: 'extension/resume/resume.html' } },
    },
  }
})
