import type { EmbeddedAuth } from '../../src/application/index.ts';
import type { Answer, Operation, Request } from './history.ts';
import { readToken } from './parts.ts';
import { EMAILS, type Item, type RequestKind, type Script } from './script.ts';

/** Something that was learnt, and of whose account. */
interface Known {
  readonly text: string;
  readonly email: string;
}

/** A request of which nothing is said but its kind. */
export const NOTHING = {
  email: '',
  password: '',
  newPassword: '',
  token: 'nothing',
  target: 'nothing',
  address: undefined,
} as const;

/** What the clients know together: every token that any of them got, and every password. */
export class Knowledge {
  readonly access: Known[] = [];
  readonly refresh: Known[] = [];
  /** Also those of which nobody knows whether they are stored. */
  readonly passwords: Known[] = [];
  readonly #addresses: Script['addresses'];

  constructor(addresses: Script['addresses']) {
    this.#addresses = addresses;
  }

  /** What an item comes to by now, for the operation of this number. */
  request(item: Item & { readonly kind: RequestKind }, id: number): Request {
    const { who, which, where } = item;
    const address = this.#addresses[where % this.#addresses.length];
    // Where nobody has a token yet, somebody must come by one first.
    const isLost = this.access.length === 0 && !/^(?:login|guess|listUsers|prune)$/.test(item.kind);
    const kind = isLost ? 'register' : item.kind;
    const email = EMAILS[who] ?? EMAILS[0];
    const request = { ...NOTHING, kind, email, address };
    const spelled = which > 0.8 ? ` ${email.toUpperCase()} ` : email;
    const own = `password of ${id}`;
    switch (kind) {
      case 'register':
        this.passwords.push({ text: own, email });
        return { ...request, email: spelled, password: own };
      case 'login':
        return { ...request, email: spelled, password: this.#password(email, which) };
      case 'guess':
        return { ...request, email: spelled, password: `guess of ${id}` };
      case 'refresh':
      case 'logout': {
        const known = this.#token(this.refresh, this.access, which);
        return { ...request, token: known?.text ?? 'nothing' };
      }
      case 'disableUser':
      case 'enableUser':
        return request;
      default:
        return { ...request, ...this.#bearing(kind, which, own) };
    }
  }

  learn({ request, outcome }: Operation): void {
    if (outcome.kind !== 'answered') return;
    const { signedIn, refreshed } = outcome.answer;
    const isBearing = request.kind === 'refresh';
    const email = isBearing ? this.#emailOf(request.token) : request.email.trim().toLowerCase();
    for (const text of [signedIn?.accessToken, refreshed?.accessToken]) {
      if (text !== undefined) this.access.push({ text, email });
    }
    for (const text of [signedIn?.refreshToken, refreshed?.refreshToken]) {
      if (text !== undefined) this.refresh.push({ text, email });
    }
  }

  #bearing(kind: RequestKind, which: number, own: string): Partial<Request> {
    const known = this.#token(this.access, this.refresh, which);
    if (known === undefined) return {};
    const { text: token, email } = known;
    const password = this.#password(email, which);
    const other = recent(this.refresh, 1 - which);
    const target = readToken(other?.text ?? '')?.sessionId ?? 'nothing';
    if (kind !== 'changePassword') return { token, email, password, target };
    this.passwords.push({ text: own, email });
    return { token, email, password, newPassword: own };
  }

  /** Sometimes one that is of the other kind, or none at all. */
  #token(right: readonly Known[], wrong: readonly Known[], which: number): Known | undefined {
    return which > 0.99 ? undefined : recent(which > 0.97 ? wrong : right, which);
  }

  #password(email: string, which: number): string {
    const own = this.passwords.filter((known) => known.email === email);
    // Another number than the token's, so that new tokens meet old passwords.
    return recent(own, (which * 7) % 1)?.text ?? 'nothing known';
  }

  #emailOf(token: string): string {
    return this.refresh.find(({ text }) => text === token)?.email ?? '';
  }
}

/** Of what is known mostly the newest: half of the numbers from 0 to 1 fall on the last third. */
function recent(list: readonly Known[], which: number): Known | undefined {
  return list[list.length - 1 - Math.floor(which * which * list.length)];
}

/** Asks a process. */
export async function ask(auth: EmbeddedAuth, request: Request, id: number): Promise<Answer> {
  const { kind, email, password, newPassword, token, target, address } = request;
  const device = `op-${id}`;
  const bearer = { accessToken: token };
  switch (kind) {
    case 'register': {
      const names = { username: `user of ${id}`, confirmPassword: password };
      return { signedIn: await auth.registerUser({ email, password, device, address, ...names }) };
    }
    case 'login':
    case 'guess':
      return { signedIn: await auth.login({ email, password, device, address }) };
    case 'refresh':
      return { refreshed: await auth.refreshToken({ refreshToken: token, address }) };
    case 'authorize':
      return { identity: await auth.authorize(bearer) };
    case 'logout':
      await auth.logout({ refreshToken: token });
      return {};
    case 'logoutAll':
      await auth.logoutAll(bearer);
      return {};
    case 'listSessions':
      return { sessions: await auth.listSessions(bearer) };
    case 'endSession':
      await auth.endSession({ ...bearer, sessionId: target });
      return {};
    case 'changePassword': {
      const passwords = { password: newPassword, confirmPassword: newPassword };
      await auth.changePassword({ ...bearer, ...passwords, currentPassword: password, address });
      return {};
    }
    case 'deleteAccount':
      await auth.deleteAccount({ ...bearer, password, address });
      return {};
    case 'disableUser':
    case 'enableUser': {
      const { id: userId } = await auth.findUser({ email });
      await auth[kind]({ userId });
      return {};
    }
    case 'listUsers': {
      const users = [];
      for await (const page of (await auth.listUsers()).pages) users.push(...page);
      return { users };
    }
    default:
      await auth.pruneExpired();
      return {};
  }
}
