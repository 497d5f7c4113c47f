import { defineConfig } from "vitest/config";

// The server answers `/` with static/index.html and everything else under `/static/`. Every address is
// relative, so that the page also works below a root path (reverse proxy, Spaces).
export default defineConfig({
  build: {
    outDir: "../src/magic_eraser/ui/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "assets/page-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  experimental: {
    renderBuiltUrl: (filename, { hostType }) =>
      hostType === "html" ? `./static/${filename}` : { relative: true },
  },
  server: {
    proxy: { "/v1": "http://127.0.0.1:7860" },
  },
  test: { include: ["test/**/*.test.ts"] },
});
