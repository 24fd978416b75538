// The pages' files under our own scheme.
import type { PageFiles } from '../ipc/page-files.ts';
import { CONTENT_SECURITY_POLICY, PAGE_HEADERS } from '../ipc/page-policy.ts';
import { isOurs } from './origin.ts';

/** Answers for a page's file; everything else does not exist. */
export function pageResponse(pages: PageFiles, method: string, address: string): Response {
  if (!isOurs(address) || method !== 'GET') return new Response(null, { status: 404 });
  const file = pages.get(new URL(address).pathname);
  if (file === undefined) return new Response(null, { status: 404 });
  return new Response(Buffer.from(file.bytes), {
    headers: { ...PAGE_HEADERS, 'content-type': file.type, 'content-security-policy': CONTENT_SECURITY_POLICY },
  });
}
