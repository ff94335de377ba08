import { fileURLToPath } from 'node:url';
import express from 'express';
import helmet from 'helmet';

const { PORT = '5173', PORTCULLIS_URL = 'http://localhost:8000' } = process.env;
const folder = fileURLToPath(new URL('./public', import.meta.url));
const service = new URL(PORTCULLIS_URL);

const app = express();
app.use(
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: [service.origin],
        // Forms are sent by scripts: whatever else would send one sends a password to the wrong place.
        formAction: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
  }),
);

app.get('/config.js', (_request, response) => {
  const url = service.href.replace(/\/+$/, '');
  response.type('js').send(`export const service = ${JSON.stringify(url)};\n`);
});
app.use(express.static(folder, { index: false }));
// Every other path is one of the page's own: it is loaded there, too.
app.get(/^[^.]*$/, (_request, response) => response.sendFile('index.html', { root: folder }));

const server = app.listen(Number(PORT), 'localhost', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
process.once('SIGTERM', () => server.close());
