/**
 * Whether a password is one of the 30,000-odd that guessing starts with, in any case. The list is
 * loaded on the first call of this function, for whoever wants it.
 */
export async function commonPasswords(): Promise<(password: string) => boolean> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  const known = new Set(dictionary['passwords-common']);
  return (password) => known.has(password.toLowerCase());
}
