import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import tseslint from "typescript-eslint";

/** Each of these pulls all of viem into the first view: createClient with single actions does the same in a third. */
const HEAVY = ["createPublicClient", "createWalletClient", "createTestClient", "publicActions", "walletActions"];

export default tseslint.config(
  { ignores: ["node_modules", "src/abi"] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  a11y.flatConfigs.strict,
  // The browser tests run in Node, and parts of them in the page.
  { files: ["tests/*.mjs"], rules: { "no-undef": "off" } },
  {
    files: ["src/**/*.{ts,tsx}"],
    rules: {
      "no-restricted-imports": ["error", { paths: [{ name: "viem", importNames: HEAVY, message: "import createClient and single actions of viem/actions" }] }],
      "no-restricted-globals": ["error", "localStorage", "sessionStorage"],
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "outerHTML" }],
      "no-restricted-syntax": ["error", { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "the page has no markup from outside" }],
      "jsx-a11y/no-noninteractive-tabindex": ["error", { tags: ["div"], roles: ["group"] }],
      "jsx-a11y/label-has-associated-control": ["error", { assert: "either" }],
    },
  },
);
