/** Does a login cost more where there are many users? */
import { ratioBar, rates, readingsTable, roundsOf, type Section } from '../findings.ts';
import { crowdEmail, login } from '../stage.ts';
import { loopRounds } from '../visits.ts';

const [FEW, MANY] = [1_000, 1_000_000];
const FLAT = 0.05;
const IN_FLIGHT = 8;

export const scaleSection: Section = {
  name: 'scale',
  async run(stage) {
    const [few, many] = [await stage.crowd(FEW), await stage.crowd(MANY)];
    const servers = new Map([
      ['few', { ...(await stage.guest(few)), users: FEW }],
      ['many', { ...(await stage.guest(many)), users: MANY }],
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
    const sizes = `at ${MANY.toLocaleString('en')} users, against ${FEW.toLocaleString('en')}`;
    const table = readingsTable(found).map((row, i) => {
      const { server: _, ...rest } = row;
      return { users: (i === 0 ? FEW : MANY).toLocaleString('en'), ...rest };
    });
    return {
      bars: [
        ratioBar(`CPU a login ${sizes}`, cpu('many'), cpu('few'), {
          atMost: 1 + FLAT,
        }),
        ratioBar(`logins/s ${sizes}`, rates(found, 'many'), rates(found, 'few'), {
          atLeast: 1 - FLAT,
        }),
      ],
      tables: { [`logins, ${IN_FLIGHT} at once`]: table },
    };
  },
};
