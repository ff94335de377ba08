/** GET /protected during a flood of logins: its latency, and the logins that it costs. */
import {
  barOf,
  digits,
  inRounds,
  ratioBar,
  roundsOf,
  SECONDS,
  type Section,
  WARM_UP_SECONDS,
} from '../findings.ts';
import { closedLoop, p99, paced, type Reading } from '../load.ts';
import { median, requestText } from '../measure.ts';
import { login, NAMES, type Peopled } from '../stage.ts';
import { inTurn } from '../visits.ts';

/** Concurrent logins. */
const FLOOD_LOGINS = 64;
/** Requests of GET /protected per second. */
const PROBES_PER_SECOND = 200;
/**
 * The bound of the p99: a multiple of that of an idle server, or a number of ms if that is more.
 */
const P99_BAR = { times: 2, ms: 15 };
const LOGIN_BAR = 0.95;

interface Visit {
  /** Milliseconds: p99 of the probes on a server that does nothing else, and in the flood. */
  readonly idle: number;
  readonly flooded: number;
  /** Logins a second, without the probes and beside them. */
  readonly alone: Reading;
  readonly beside: Reading;
}

export const floodSection: Section = {
  name: 'flood',
  async run(stage) {
    const servers = await stage.servers(
      'service',
      'bare',
      'fastify',
      'express',
      'nest',
      'better-auth',
    );
    for (const server of servers.values()) await visit(server, WARM_UP_SECONDS / 2);
    const found = await inRounds(
      new Map([...servers].map(([name, server]) => [name, () => visit(server, SECONDS)] as const)),
    );
    const ours = roundsOf(found, 'service');
    const flooded = ours.map((each) => each.flooded);
    const atMost = Math.max(P99_BAR.ms, P99_BAR.times * median(ours.map(({ idle }) => idle)));
    const beside = ours.map((each) => each.beside.rate);
    const alone = ours.map((each) => each.alone.rate);
    const title = 'logins/s beside the probes, against those without';
    return {
      bars: [
        barOf(`p99 of ${PROBES_PER_SECOND}/s while ${FLOOD_LOGINS} log in at once`, flooded, 'ms', {
          atMost,
        }),
        ratioBar(title, beside, alone, { atLeast: LOGIN_BAR }),
      ],
      tables: {
        [`/protected ${PROBES_PER_SECOND} times a second, ${FLOOD_LOGINS} logins at once`]: [
          ...servers,
        ].map(([name]) => {
          const of = (measure: (visit: Visit) => number) =>
            digits(median(roundsOf(found, name).map(measure)));
          return {
            server: NAMES[name],
            'p99 ms, idle': of(({ idle }) => idle),
            'p99 ms, flooded': of((each) => each.flooded),
            'logins/s': of((each) => each.alone.rate),
            'logins/s beside probes': of((each) => each.beside.rate),
            'CPU µs a login, server': of((each) => each.alone.serverCpu),
            'with database': of((each) => each.alone.totalCpu),
          };
        }),
      },
    };
  },
};

async function visit({ url, workers, accounts }: Peopled, seconds: number): Promise<Visit> {
  const probe = inTurn(accounts, ({ accessToken }) =>
    requestText('GET /protected', { token: accessToken }),
  );
  const next = inTurn(accounts, ({ email }) => login(email));
  const flood = () =>
    closedLoop({ url, inFlight: FLOOD_LOGINS, seconds, next, status: 200 }, workers);
  const idle = await paced(url, PROBES_PER_SECOND, seconds, probe);
  const alone = await flood();
  const [beside, probes] = await Promise.all([
    flood(),
    paced(url, PROBES_PER_SECOND, seconds, probe),
  ]);
  return { idle: p99(idle), flooded: p99(probes), alone, beside };
}
