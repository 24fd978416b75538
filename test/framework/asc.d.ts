// The part of the AssemblyScript compiler's interface that we use. Its own declarations would bring the globals of
// AssemblyScript (another `console`, for one) into our programs.

interface Text {
  toString(): string;
}

interface Options {
  readonly stdout?: Text;
  readonly stderr?: Text;
  readonly readFile?: (name: string, baseDir: string) => string | null | Promise<string | null>;
  readonly writeFile?: (name: string, contents: Uint8Array | string, baseDir: string) => void;
  readonly listFiles?: (folder: string, baseDir: string) => string[] | null;
}

declare const asc: {
  createMemoryStream(): Text;
  main(
    words: readonly string[],
    options?: Options,
  ): Promise<{ readonly error: Error | null; readonly stdout: Text; readonly stderr: Text }>;
};
export default asc;
