import devServer from '@hono/vite-dev-server'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const previewHost = process.env.MK0R_PREVIEW_HOST

export default defineConfig(({ isSsrBuild }) => ({
  // dev.mjs reads .env; only VITE_ names of the environment reach the browser.
  envDir: false,
  plugins: [
    react(),
    tailwindcss(),
    devServer({ entry: 'server/app.ts', exclude: [/^\/(?!api(\/|\?|$)).*/], injectClientScript: false }),
  ],
  server: {
    host: '127.0.0.1',
    port: Number(process.env.PORT ?? 5173),
    strictPort: true,
    // A file seen between being emptied and being written would be served empty: changes within 50 ms count as one.
    watch: { awaitWriteFinish: { stabilityThreshold: 20, pollInterval: 5 } },
    allowedHosts: ['.localhost', '.e2b.app', '.e2b.dev', ...(previewHost ? [previewHost] : [])],
    fs: {
      // The browser gets nothing of these, not even by a mistaken import.
      deny: ['.env', '.env.*', '*.{crt,pem,key}', '**/.git/**', `${import.meta.dirname}/server/**`],
    },
    // Everything the first screen needs is transformed before anyone asks for it.
    warmup: { clientFiles: ['./src/main.tsx'], ssrFiles: ['./server/app.ts'] },
  },
  build: { copyPublicDir: !isSsrBuild },
  optimizeDeps: {
    // Named, so that the prepared cache already holds what the app imports later.
    include: ['react', 'react-dom/client', 'react/jsx-dev-runtime', 'react/jsx-runtime', 'posthog-js'],
  },
}))
