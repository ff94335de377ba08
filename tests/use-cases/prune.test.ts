import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CREDENTIALS, REFRESH_TOKEN_TTL, withAda } from '../support/fakes.ts';

const prune = suite('PruneExpired');

prune('removes what has expired, a bounded part at a time', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 4; i += 1) await auth.login(CREDENTIALS);
  assert.is(await auth.pruneExpired(), 0);
  ports.clock.advance(REFRESH_TOKEN_TTL);
  assert.is(await auth.pruneExpired({ limit: 3 }), 3);
  assert.is(await auth.pruneExpired({ limit: 3 }), 2);
});

prune.run();
