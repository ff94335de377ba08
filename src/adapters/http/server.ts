import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import { MAX_BODY_LENGTH } from './answer.ts';
import { errorReply, type TextReply } from './reply.ts';

/** An HTTP server with limits on how long a client may take, whose own refusals are JSON too. */
export function httpServer(app: RequestListener): Server {
  const limits = { headersTimeout: 10_000, requestTimeout: 15_000, requireHostHeader: false };
  const server = createServer(limits, (request, response) => {
    const hostless = request.headers.host === undefined && request.httpVersion === '1.1';
    if (hostless) writeRefusal(response, errorReply(400, 'Bad request'));
    else app(request, response);
  });
  server.on('checkContinue', (request, response) => {
    if (!isTooLarge(request)) response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (_, response) => {
    writeRefusal(response, errorReply(417, 'Expectation failed'));
  });
  server.on('connect', (_, socket: Socket) => endWith(socket, 405, 'Method not allowed'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & HasResponse) => {
    // In the middle of another answer on this connection, a refusal would be taken for its rest.
    if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage) socket.destroy();
    else if (error.code === 'HPE_HEADER_OVERFLOW') endWith(socket, 431, 'Header too large');
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') endWith(socket, 408, 'Request timeout');
    else endWith(socket, 400, 'Bad request');
  });
  return server;
}

interface HasResponse {
  /** Node notes here the response that a connection is busy with. */
  readonly _httpMessage?: ServerResponse;
}

function writeRefusal(response: ServerResponse, { status, headers, body }: TextReply): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...headers, 'Content-Length': length, Connection: 'close' });
  response.end(body);
}

function endWith(socket: Socket, status: number, message: string): void {
  const { headers, body } = errorReply(status, message, { Connection: 'close' });
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `Content-Length: ${body.length}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  socket.end([...lines, '', body].join('\r\n'));
}

/** What a client that is still sending gets to do so, in ms: cut off at once, it may miss the reply. */
export const LINGER = 500;

export function isTooLarge({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MAX_BODY_LENGTH;
}
