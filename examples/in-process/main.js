import { auth } from './embedded.js';

const password = 'correct horse';
const ada = { username: 'Ada', email: 'Ada@Example.com', password, confirmPassword: password };

const registered = await auth.registerUser({ ...ada, device: 'laptop' });
console.log('registered', registered.user.username, registered.user.email);

const again = await auth.registerUser(ada).catch(({ code }) => code);
console.log('again', again);

const { accessToken, refreshToken } = await auth.login({ ...ada, device: 'phone' });
const { user } = await auth.authorize({ accessToken });
console.log('signed in', user.id === registered.user.id, user.dateCreated instanceof Date);

const sessions = await auth.listSessions({ accessToken });
console.log(
  'sessions',
  sessions.map(({ device, current }) => `${device}${current ? ' *' : ''}`),
);

const wrong = await auth.login({ ...ada, password: 'wrong horse' }).catch(({ code }) => code);
console.log('wrong password', wrong);

await auth.logout({ refreshToken });
const ended = await auth.refreshToken({ refreshToken }).catch(({ code }) => code);
console.log('after logout', ended);

await auth.deleteAccount({ accessToken, password });
const gone = await auth.authorize({ accessToken }).catch(({ code }) => code);
console.log('deleted', gone);
