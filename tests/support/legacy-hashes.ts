/**
 * The password of each hash below. They were made by others: OpenBSD's bcrypt by the C library's crypt(3), Werkzeug's
 * and the keys of the rest by Python (hashlib).
 */
export const LEGACY_PASSWORD = 'correct hörse';

export const LEGACY_HASHES = {
  bcrypt: '$2b$04$abcdefghijklmnopqrstuu6hXClE3y3ppxadbz1kXCSyMGvbkYXqq',
  'bcrypt, of PHP': '$2y$04$abcdefghijklmnopqrstuu6hXClE3y3ppxadbz1kXCSyMGvbkYXqq',
  'bcrypt, of before': '$2a$04$abcdefghijklmnopqrstuu6hXClE3y3ppxadbz1kXCSyMGvbkYXqq',
  'bcrypt, dearer': '$2b$08$OZooKwG.OrC4BfEINi04KuYNv3XDLlBKJMe2Sd90coEE.nvni8gGi',
  'scrypt, PHC':
    '$scrypt$ln=10,r=8,p=1$AQJzaXh0ZWVuIGJ5dGVzIQ$sIdDSqQk4zIA6I5ZkbssEvmhyoJlCM2K+Sf3hijv0XQ',
  'scrypt, Django':
    'scrypt$1024$saltOfDjango22chars...$8$5$ytYyUptPHSFQrJ7kvZP8xcZulZYKBUPMctg3BecLr9+/UugZJBV1hCeyPEJCiRJiC9kLfdonXtMeVwvmvPm/mQ==',
  'scrypt, Werkzeug':
    'scrypt:1024:8:1$wwXNtZDcbkQVP12O$986043d1761bec9ba1a3f54aafc7f7abea41fb76dab154484d5cfb0477e36ba786858fd3d2ed5c14c102908dd3b76707670ffd868915f37bf067ae11c787396a',
  'PBKDF2, PHC':
    '$pbkdf2-sha256$i=1000,l=32$AQJzaXh0ZWVuIGJ5dGVzIQ$xzj8I5oL0EaWPuOsOZooKwG+OrC4BfEINi04KPlvHlE',
  'PBKDF2 with SHA-512, PHC':
    '$pbkdf2-sha512$i=1000$AQJzaXh0ZWVuIGJ5dGVzIQ$K6uKyA4ejY0KADvyHnrlmyLiXS7YMqtvFm0I4PfBpLpJmx+4s2qB049SP3bCFSh0DcaggVmgUo8UtvnrU1zeXQ',
  'PBKDF2, passlib':
    '$pbkdf2-sha256$1000$AQJzaXh0ZWVuIGJ5dGVzIQ$xzj8I5oL0EaWPuOsOZooKwG.OrC4BfEINi04KPlvHlE',
  'PBKDF2 with SHA-1, passlib': '$pbkdf2$1000$AQJzaXh0ZWVuIGJ5dGVzIQ$5mxZ0JW3nv9vg.3gU3YnSseAy8A',
  'PBKDF2, Django': 'pbkdf2_sha256$1000$saltOfDjango$dcNXn32TcW1dwXRczzxTYjIXTHXrkEbkLg42TPLnojk=',
  'PBKDF2 with SHA-1, Django': 'pbkdf2_sha1$1000$saltOfDjango$0UfcYlC7DhEQvgeIzCGqN6sRKcY=',
  'PBKDF2, Werkzeug':
    'pbkdf2:sha256:1000$ZOGXQ8BY7qs2G1ZK$f7f1fe9682406ece2c295ebc9d69f11a91ee5fd7e53e2bf9923e1ae520cb6d4c',
} as const;

/** One of the above, as the contract of hashers takes it. */
export function ofLegacyPassword(passwordHash: string) {
  return { passwordHash, password: LEGACY_PASSWORD };
}
