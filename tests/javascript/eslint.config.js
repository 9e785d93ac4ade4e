import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  { files: ["web/**/*.js"], languageOptions: { globals: globals.browser }, rules: { "no-restricted-globals": ["error", "event"], eqeqeq: ["error", "always", { null: "ignore" }], "prefer-const": "error" } },
];
