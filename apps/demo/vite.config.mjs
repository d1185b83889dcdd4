import { defineConfig } from 'vite'

export default defineConfig({
  base: '/dev/app/',
  logLevel: 'warn',
  build: { outDir: 'dist/web', emptyOutDir: true, target: 'es2023', modulePreload: { polyfill: false } },
  worker: { format: 'es' },
})
