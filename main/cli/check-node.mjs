// First step of the installation, in JavaScript that old versions of Node understand: without a Node that runs TypeScript
// the next steps would fail in words that help nobody. npm has put the one of node_modules first, where there is one.
const LEAST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < LEAST_NODE) {
  process.stderr.write(
    `afterimage: Node ${LEAST_NODE} or newer is needed, and this is ${process.version}. It comes with npm for Linux ` +
      `(x64, arm64) and Windows (x64), unless optional packages are left out; for ${process.platform} ${process.arch} ` +
      'install it and run `npm ci` again.\n',
  );
  process.exit(1);
}
