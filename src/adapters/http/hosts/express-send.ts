import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import type { Reply } from '../contract/reply.ts';
import { reportFault, type ReportOptions } from './report.ts';
import { thisTurn, writeTogether } from './write-batch.ts';

/** @param arrival the turn of the event loop in which the request came: see `thisTurn` */
export function send(
  response: Response,
  reply: Reply,
  report: ReportOptions['report'],
  arrival = thisTurn(),
): Promise<void> | undefined {
  const { status, headers, body } = reply;
  if (typeof body !== 'string' && response.req.method !== 'HEAD') {
    prepare(response);
    response.writeHead(status, headers);
    return sendParts(response, body, report);
  }
  const write = () => {
    if (response.headersSent) return; // The application has replied: it would wait no longer.
    try {
      prepare(response);
      sendWhole(response, reply);
    } catch (fault) {
      reportFault(report, fault);
      response.destroy();
    }
  };
  if (arrival === thisTurn()) writeTogether(write);
  else write();
  return undefined;
}

function sendWhole(response: Response, { status, headers, body }: Reply): void {
  if (body === '' || typeof body !== 'string') {
    response.writeHead(status, headers).end();
  } else {
    response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
  }
}

function prepare(response: Response): void {
  response.removeHeader('X-Powered-By'); // An application that has it on need not say so here.
  // On a server that stops, Node would let the client send one more request, and drop that.
  const socket: Socket & { readonly server?: Server } = response.req.socket;
  if (socket.server?.listening === false) response.shouldKeepAlive = false;
}

async function sendParts(
  response: Response,
  parts: AsyncIterable<string>,
  report: ReportOptions['report'],
): Promise<void> {
  try {
    const body = resettingAtFault(parts, response.req.socket);
    await pipeline(Readable.from(body, { highWaterMark: 1 }), response);
  } catch (fault) {
    // A client that goes away is no fault.
    if (!isPrematureClose(fault)) reportFault(report, fault);
  }
}

/**
 * Resets the connection if a part fails. The status is out by then, so that is the only way to tell the
 * client that the body is not whole: it takes an ordinary end of the connection for the end of the body.
 */
async function* resettingAtFault(
  parts: AsyncIterable<string>,
  socket: Socket,
): AsyncGenerator<string> {
  try {
    yield* parts;
  } catch (fault) {
    socket.resetAndDestroy();
    throw fault;
  }
}

function isPrematureClose(fault: unknown): boolean {
  return fault instanceof Error && 'code' in fault && fault.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
