/** The key or token that the person signed in with. It goes into one header and nowhere else: no address, no log. */

export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const KEY = "magic-eraser-credential";
const LONGEST = 8192;
/** What a header can carry: visible ASCII. Keys and tokens hold nothing else. */
const SENDABLE = /^[\x21-\x7e]+$/;

/** What was typed or pasted, as it is sent; null where it can be neither a key nor a token. */
export function readCredential(typed: string): string | null {
  const text = typed.trim().replace(/^(authorization:\s*)?bearer\s+/i, "").replace(/^["']|["']$/g, "");
  return text.length <= LONGEST && SENDABLE.test(text) ? text : null;
}

/**
 * Until the tab is closed, or for longer where the person says that this device is theirs. A browser that forbids
 * storage keeps it as long as the page is open.
 */
export class Credential {
  private current: string | null;

  constructor(
    private readonly session: Store | null,
    private readonly lasting: Store | null,
  ) {
    this.current = read(session) ?? read(lasting);
  }

  get value(): string | null {
    return this.current;
  }

  /** Replaces whatever there was, in both places. */
  keep(value: string, stay: boolean): void {
    this.forget();
    this.current = value;
    write(stay ? this.lasting : this.session, value);
  }

  /** The same person with a new key: it stays where the old one was. */
  replace(value: string): void {
    this.keep(value, read(this.lasting) !== null);
  }

  forget(): void {
    this.current = null;
    for (const store of [this.session, this.lasting]) remove(store);
  }

  /** Another tab signed in or out for good; tells whether that changes anything here. */
  follow(event: Pick<StorageEvent, "key" | "newValue">): boolean {
    if ((event.key !== KEY && event.key !== null) || read(this.session) !== null) return false;
    const before = this.current;
    this.current = event.newValue === null ? null : readCredential(event.newValue);
    return this.current !== before;
  }
}

function read(store: Store | null): string | null {
  try {
    return readCredential(store?.getItem(KEY) ?? "");
  } catch {
    return null;
  }
}

function write(store: Store | null, value: string): void {
  try {
    store?.setItem(KEY, value);
  } catch {
    // Private mode or a full store: it holds until the page closes.
  }
}

function remove(store: Store | null): void {
  try {
    store?.removeItem(KEY);
  } catch {
    // A store that cannot be written holds nothing of ours.
  }
}
