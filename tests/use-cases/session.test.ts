import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isExpired, isWithin } from '../../src/application/index.ts';
import { withAda } from '../support/fakes.ts';

const time = suite('A session');

time('is over at the instant of its expiry, and graces end after theirs', async () => {
  const { ports, ada } = await withAda();
  const [session] = await ports.sessions.list(ada.user.id, ports.clock.now());
  if (session === undefined) throw new Error('no session');
  const { expires, dateCreated } = session;
  assert.is(isExpired(session, new Date(expires.getTime() - 1)), false);
  assert.is(isExpired(session, expires), true);
  const after = (ms: number) => new Date(dateCreated.getTime() + ms);
  assert.is(isWithin(10, dateCreated, after(10_000)), true);
  assert.is(isWithin(10, dateCreated, after(10_001)), false);
});

time.run();
