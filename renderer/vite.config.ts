// Builds the renderer into `renderer/dist`: one page, one style sheet, nothing fetched from anywhere else. Paths are
// relative, so that the Electron host and the browser host can serve the same files from wherever they like.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [svelte({ configFile: false, compilerOptions: { runes: true } })],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // Everything here has light-dark(), popover and CSS nesting: Electron 45, and browsers since 2024.
    target: ['chrome125', 'firefox128', 'safari18'],
    // The policy of index.html allows no data: URLs in style sheets and no inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
