import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import type { Request, Response } from 'express';
import {
  BODY_TOO_LARGE,
  INCOMPLETE_BODY,
  type TextReply,
  UNSUPPORTED_ENCODING,
} from '../contract/reply.ts';
import { isTooLarge, LINGER_MS, MAX_BODY_BYTES } from './body-limits.ts';
import { NO_BODY, type ParsedBody } from './request.ts';

/**
 * Reads the bytes of a body, or refuses one that is too large or compressed (its true size is unknown).
 * It refuses as soon as it can tell: the usual parsers read the whole body first, or wait for the rest
 * in vain.
 */
export async function readBody(request: Request): Promise<Uint8Array | ParsedBody | TextReply> {
  if (request.readableDidRead) return bodyReadBefore(request);
  const { 'content-encoding': encoding, 'content-length': length } = request.headers;
  if ((encoding ?? 'identity') !== 'identity') return UNSUPPORTED_ENCODING;
  if (isTooLarge(length)) return BODY_TOO_LARGE;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // A string if the application has set an encoding.
    request.on('data', (data: Buffer | string) => {
      const chunk = typeof data === 'string' ? Buffer.from(data) : data;
      bytes += chunk.length;
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
      else resolve(BODY_TOO_LARGE);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    // A client that gives up has requested nothing, even if its bytes up to there are JSON.
    const giveUp = () => resolve(INCOMPLETE_BODY);
    request.on('error', giveUp).on('close', giveUp);
    // A request without a body may have ended by now.
    if (request.readableEnded) resolve(NO_BODY);
    else if (request.destroyed) giveUp();
    request.resume(); // The application may have paused it.
  });
}

/** A body that one of the application's parsers has read: as bytes, as text, or as parsed JSON. */
function bodyReadBefore(request: Request): Uint8Array | ParsedBody {
  const body: unknown = request.body;
  if (body instanceof Uint8Array) return body;
  if (typeof body !== 'string') return { value: body };
  try {
    return { value: JSON.parse(body) };
  } catch {
    return { value: body }; // The string that a JSON parser has found, or text that is not JSON.
  }
}

/** Sends the refusal at once, and lets a client that is still sending go on for a moment. */
export function refuseBody(request: IncomingMessage, response: Response, reply: TextReply): void {
  response.removeHeader('X-Powered-By');
  const length = Buffer.byteLength(reply.body);
  const headers = { ...reply.headers, 'Content-Length': length, Connection: 'close' };
  response.writeHead(reply.status, headers).write(reply.body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  finished(request.resume(), end);
}
