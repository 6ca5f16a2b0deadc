// Verifies sigstore bundles with sigstore's own library: node verify_bundle.cjs MODULES KEY.pem KEYID BUNDLE...
// Prints one line for each bundle: "verified", or the error's code.
const { createRequire } = require("node:module");
const { createPublicKey } = require("node:crypto");
const { readFileSync } = require("node:fs");

const [modules, keyFile, keyid, ...bundles] = process.argv.slice(2);
const load = createRequire(modules + "/");
const { bundleFromJSON } = load("@sigstore/bundle");
const { Verifier, toSignedEntity, toTrustMaterial } = load("@sigstore/verify");

const rawBytes = createPublicKey(readFileSync(keyFile)).export({ format: "der", type: "spki" });
const root = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const trusted = toTrustMaterial(root, { [keyid]: { rawBytes } });
const verifier = new Verifier(trusted, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });

for (const file of bundles) {
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(readFileSync(file, "utf8")))));
    console.log("verified");
  } catch (error) {
    console.log(error.code ?? error.name);
  }
}
