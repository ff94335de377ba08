// A server whose GET /protected does nothing but HTTP. node hello.mjs host|bytes|plain
//   host   the service's own HTTP host, on use cases that resolve at once
//   bytes  node:http with the headers and body of the reply of the server at TEMPLATE_URL
//   plain  the shortest node:http server
import { createServer } from 'node:http';
import { expressApp, messageClasses } from '../dist/adapters/http/hosts/express.js';
import { httpServer } from '../dist/adapters/http/hosts/server.js';

const user = { id: 1, username: 'Ada', email: 'ada@example.com', dateCreated: new Date() };
const auth = {
  login: () => Promise.reject(new Error('nobody logs in')),
  authorize: () => Promise.resolve({ user, sessionId: 'session' }),
};
/** Node adds these by itself. */
const BY_NODE = ['date', 'connection', 'keep-alive'];

const makers = {
  host() {
    const app = expressApp(auth);
    return httpServer(app, messageClasses(app));
  },
  async bytes() {
    const response = await fetch(`${process.env.TEMPLATE_URL}/protected`, {
      headers: { Authorization: 'Bearer x' },
    });
    const headers = Object.fromEntries(
      [...response.headers].filter(([name]) => !BY_NODE.includes(name)),
    );
    const body = await response.text();
    return createServer((_, reply) => reply.writeHead(response.status, headers).end(body));
  },
  plain: () => createServer((_, reply) => reply.end('hello')),
};

const server = await makers[process.argv[2]]();
server.listen(0, '127.0.0.1', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
