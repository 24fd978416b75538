import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONTENT_SECURITY_POLICY } from './page-policy.ts';

test('the policy lets in nothing but the page’s own files', () => {
  const sources = CONTENT_SECURITY_POLICY.split('; ').filter(rule => /-src /.test(rule));
  expect(sources.map(rule => rule.split(' ').slice(1).join(' '))).toEqual(["'none'", ...Array(5).fill("'self'")]);
});

test('the page says the same of itself, as far as a page can', () => {
  const page = readFileSync(new URL('../../renderer/index.html', import.meta.url), 'utf8');
  const own = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(page)?.[1];
  expect(own).toBe(CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'; ", ''));
});
