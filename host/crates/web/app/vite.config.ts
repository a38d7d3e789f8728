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
    // The page links one style sheet. Those of views that come later are small.
    cssCodeSplit: false,
    // The folder of the files has a digest of them all in its path: names without a hash compare well.
    rollupOptions: {
      input: 'src/main.ts',
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        assetFileNames: ({ names }) => (names.some((name) => name.endsWith('.css')) ? 'main.css' : '[name][extname]'),
        // What the chat and the other views share is one file, not one for each pair of them.
        codeSplitting: { groups: [{ name: 'base', test: /node_modules\/(svelte|esm-env|clsx|@lucide)\/|src\/(api|guard|i18n\/(en|texts)|live|shell|state|styles|ui|changes\/(settings|Counts|diff)|tools\/(Checklist|outputs))/ }] },
      },
    },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
}));
