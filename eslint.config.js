import tseslint from 'typescript-eslint';

const NO_DEFAULT_EXPORT = { selector: 'ExportDefaultDeclaration', message: 'named exports only' };
const NO_STDOUT = {
  selector: "MemberExpression[object.name='process'][property.name='stdout']",
  message: 'stdout belongs to kit/src/log in the daemons and to cli/src/main.ts in the CLI',
};
const PURE = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'a decision has no clock',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'a decision has no clock' },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'a decision has no dice' },
];
const ALWAYS = [NO_DEFAULT_EXPORT];

export default tseslint.config(
  { ignores: ['**/dist/**', 'packages/contract/src/gen/**', 'coverage/**', '**/*.cjs', '.demo/**'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['vitest.config.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/max-params': ['error', { max: 3 }],
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true, IIFEs: true }],
      complexity: ['error', 12],
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...ALWAYS],
    },
  },
  {
    files: ['packages/{agent,controller,kit,cli,contract}/src/**/*.ts'],
    ignores: ['packages/kit/src/log/**', 'packages/*/src/main.ts', '**/*.test.ts'],
    rules: { 'no-restricted-syntax': ['error', ...ALWAYS, NO_STDOUT] },
  },
  {
    files: ['packages/controller/src/{schedule,domain}/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...ALWAYS, NO_STDOUT, ...PURE],
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
        'performance',
        'crypto',
      ],
    },
  },
  {
    // A describe block is as long as its cases; a case may hand a plain async function where a promise is not needed.
    files: ['**/*.test.ts', '**/*{.,-}fixture.ts', 'test/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    // Every verb of a stand-in tool has the same asynchronous shape, whether it waits for something or not.
    files: ['packages/sim/src/**/*.ts'],
    rules: { '@typescript-eslint/require-await': 'off' },
  },
  { files: ['*.config.ts', 'eslint.config.js'], rules: { 'no-restricted-syntax': 'off' } },
);
