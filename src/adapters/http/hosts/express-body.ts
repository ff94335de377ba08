import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import type { Request, Response } from 'express';
import { LINGER, MAX_BODY_LENGTH, type ParsedBody } from './respond.ts';
import { COMPRESSED, INCOMPLETE, type TextReply, TOO_LARGE } from '../contract/reply.ts';
import { isTooLarge } from './server.ts';

/**
 * The bytes of a body, whatever they mean; or the refusal of one that is compressed (its true size
 * is anybody's guess) or too large, as soon as that is known: the usual readers take the whole of
 * it in before they say so, or wait for the rest of it in vain.
 */
export async function readBody(request: Request): Promise<Uint8Array | ParsedBody | TextReply> {
  if (request.readableDidRead) return bodyReadBefore(request);
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') return COMPRESSED;
  if (isTooLarge(request)) return TOO_LARGE;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    // A text where something before has set an encoding.
    request.on('data', (data: Buffer | string) => {
      const chunk = typeof data === 'string' ? Buffer.from(data) : data;
      length += chunk.length;
      if (length <= MAX_BODY_LENGTH) chunks.push(chunk);
      else resolve(TOO_LARGE);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    // A client that gave up in the middle asked for nothing, whatever its bytes up to there may mean.
    const giveUp = () => resolve(INCOMPLETE);
    request.on('error', giveUp).on('close', giveUp);
    // One without a body may be over by now.
    if (request.readableEnded) resolve(new Uint8Array());
    else if (request.destroyed) giveUp();
    request.resume(); // Something before may have stopped it.
  });
}

/** A body that one of the application's parsers has read: as bytes, as text, or as what it says. */
function bodyReadBefore(request: Request): Uint8Array | ParsedBody {
  const body: unknown = request.body;
  if (body instanceof Uint8Array) return body;
  if (typeof body !== 'string') return { value: body };
  try {
    return { value: JSON.parse(body) };
  } catch {
    return { value: body }; // The text that a JSON parser has found, or none that is JSON.
  }
}

/** Sends the refusal at once, and lets the client that is still sending do so for a moment. */
export function refuseBody(request: IncomingMessage, response: Response, reply: TextReply): void {
  response.removeHeader('X-Powered-By');
  const length = Buffer.byteLength(reply.body);
  const headers = { ...reply.headers, 'Content-Length': length, Connection: 'close' };
  response.writeHead(reply.status, headers).write(reply.body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER);
  finished(request.resume(), end);
}
