/** Does a login cost more when there are many users? */
import { rates, ratioBar, readingsTable, roundsOf, type Section } from '../findings.ts';
import { crowdEmail, login } from '../stage.ts';
import { loopRounds } from '../visits.ts';

const [FEW_USERS, MANY_USERS] = [1_000, 1_000_000];
/** The allowed difference, as a share. */
const TOLERANCE = 0.05;
const IN_FLIGHT = 8;

export const scaleSection: Section = {
  name: 'scale',
  async run(stage) {
    const [few, many] = [await stage.crowd(FEW_USERS), await stage.crowd(MANY_USERS)];
    const servers = new Map([
      ['few', { ...(await stage.guest(few)), users: FEW_USERS }],
      ['many', { ...(await stage.guest(many)), users: MANY_USERS }],
    ]);
    const load = { inFlight: IN_FLIGHT, status: 200 };
    const found = await loopRounds(
      servers,
      load,
      ({ users }) =>
        () =>
          login(crowdEmail(users)),
    );
    const cpu = (name: string) => roundsOf(found, name).map(({ totalCpu }) => totalCpu);
    const sizes = `at ${MANY_USERS.toLocaleString('en')} users, against ${FEW_USERS.toLocaleString('en')}`;
    const table = readingsTable(found).map((row, i) => {
      const { server: _, ...rest } = row;
      return { users: (i === 0 ? FEW_USERS : MANY_USERS).toLocaleString('en'), ...rest };
    });
    return {
      bars: [
        ratioBar(`CPU a login ${sizes}`, cpu('many'), cpu('few'), {
          atMost: 1 + TOLERANCE,
        }),
        ratioBar(`logins/s ${sizes}`, rates(found, 'many'), rates(found, 'few'), {
          atLeast: 1 - TOLERANCE,
        }),
      ],
      tables: { [`logins, ${IN_FLIGHT} at once`]: table },
    };
  },
};
