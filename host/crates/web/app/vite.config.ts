import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), ...(mode === 'test' ? [svelteTesting()] : [])],
  // Nexus serves the files under a path that it chooses, so they name each other by relative paths.
  base: './',
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // One style sheet for all: the page links it, and what is loaded later needs no other.
    cssCodeSplit: false,
    // The folder of the files has a digest of them all in its path: names without a hash compare well.
    rollupOptions: {
      input: 'src/main.ts',
      output: {
        // All that the first sight needs is one file, which the page asks for by this name; the entry itself only imports it.
        codeSplitting: { groups: [{ name: 'main', test: /\/src\/main\.ts$/ }] },
        entryFileNames: 'entry.js',
        chunkFileNames: '[name].js',
        assetFileNames: ({ names }) => (names[0]?.endsWith('.css') ? 'main.css' : '[name][extname]'),
      },
    },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
}));
