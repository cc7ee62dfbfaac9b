/** argv to one command and its input: the commander tree is built from the command list. */
import { Command as Branch, CommanderError, Option } from 'commander';
import type { ArgumentDefinition, Command, Input, OptionDefinition, OptionTable } from './command.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';
import { usageError } from './usage-error.ts';

/** Either a command to run, or text to print (help). */
export type Invocation =
  | {
      readonly kind: 'command';
      readonly command: Command;
      readonly input: Input<OptionTable>;
      readonly globals: GlobalValues;
    }
  | { readonly kind: 'help'; readonly text: string };

export type GlobalValues = Readonly<Record<keyof typeof GLOBAL_OPTIONS, string | boolean | undefined>>;

export interface ProgramDefinition {
  readonly name: string;
  readonly summary: string;
  /** What --version prints. */
  readonly version: string;
  readonly commands: readonly Command[];
  readonly nouns: Readonly<Record<string, string>>;
  /** Cells of the terminal for help pages. */
  readonly width: number;
}

function toOption(definition: OptionDefinition): Option {
  const short = definition.short === undefined ? '' : `-${definition.short}, `;
  const value = definition.value ?? 'VALUE';
  const suffix = { flag: '', text: ` <${value}>`, list: ` <${value}>`, selector: ` [${value}]` }[definition.kind];
  const option = new Option(`${short}--${definition.flag}${suffix}`, definition.help);
  if (definition.choices !== undefined) option.choices([...definition.choices]);
  if (definition.kind === 'list') {
    option.argParser((text: string, previous: unknown) => [
      ...(Array.isArray(previous) ? (previous as string[]) : []),
      text,
    ]);
  }
  return option;
}

function argumentText(definition: ArgumentDefinition): string {
  const name = definition.variadic === true ? `${definition.name}...` : definition.name;
  return definition.optional === true ? `[${name}]` : `<${name}>`;
}

/** The value that commander holds under the flag's camel-case name, in the shape the option kind promises. */
function readOption(option: OptionDefinition, found: Readonly<Record<string, unknown>>): unknown {
  const value = found[new Option(`--${option.flag}`).attributeName()];
  if (option.kind === 'flag') return value === true;
  if (option.kind === 'list') return value ?? [];
  return value;
}

function readOptions(table: OptionTable, found: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).map(([key, option]) => [key, readOption(option, found)]));
}

function humanArgument(argument: { name(): string; readonly required: boolean; readonly variadic: boolean }): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** "a, b or c" is enough for a person; the quoted list of commander is not shown beside it. */
function optionText(option: Option): string {
  return option.description;
}

class Tree {
  private readonly root: Branch;
  private readonly definition: ProgramDefinition;
  private readonly written: string[] = [];
  chosen: Invocation | undefined;

  constructor(definition: ProgramDefinition) {
    this.definition = definition;
    this.root = this.configure(new Branch(definition.name))
      .description(definition.summary)
      .version(definition.version, '-V, --version', 'show the version')
      .enablePositionalOptions();
    for (const command of definition.commands) this.add(command);
  }

  /** Leaves the command in `chosen`, or gives what commander has against it. */
  walk(argv: readonly string[]): CommanderError | undefined {
    try {
      this.root.parse([...argv], { from: 'user' });
      return undefined;
    } catch (error) {
      if (error instanceof CommanderError) return error;
      throw error;
    }
  }

  parse(argv: readonly string[]): Invocation {
    const error = this.walk(argv);
    if (error === undefined) return this.chosen ?? { kind: 'help', text: this.root.helpInformation() };
    if (error.exitCode === 0 || error.code === 'commander.help') return { kind: 'help', text: this.written.join('') };
    throw usageError(error, this.definition, argv);
  }

  private configure(branch: Branch): Branch {
    for (const option of Object.values(GLOBAL_OPTIONS))
      branch.addOption(toOption(option).hideHelp(branch.name() !== this.definition.name));
    return branch
      .exitOverride()
      .allowExcessArguments(false)
      .showSuggestionAfterError()
      .helpCommand(false)
      .helpOption('-h, --help', 'show this help')
      .configureHelp({
        helpWidth: this.definition.width,
        sortOptions: false,
        optionDescription: optionText,
        subcommandTerm: (child) => `${child.name()} ${child.registeredArguments.map(humanArgument).join(' ')}`.trim(),
      })
      .configureOutput({
        writeOut: (text) => void this.written.push(text),
        writeErr: (text) => void this.written.push(text),
      });
  }

  private branchFor(words: readonly string[]): Branch {
    let branch = this.root;
    words.forEach((word, index) => {
      const path = words.slice(0, index + 1).join(' ');
      const existing = branch.commands.find((child) => child.name() === word);
      const next =
        existing ??
        this.configure(new Branch(word))
          .description(this.definition.nouns[path] ?? '')
          .enablePositionalOptions();
      if (existing === undefined) branch.addCommand(next);
      branch = next;
    });
    return branch;
  }

  private add(command: Command): void {
    const words = command.path.split(' ');
    const leaf = this.configure(new Branch(words.at(-1) ?? '')).summary(command.summary);
    leaf.description(
      command.description === undefined ? command.summary : `${command.summary}\n\n${command.description}`,
    );
    for (const argument of command.args) leaf.argument(argumentText(argument), argument.help);
    for (const option of Object.values(command.options)) leaf.addOption(toOption(option));
    if (command.examples.length > 0)
      leaf.addHelpText('after', `\nExamples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`);
    leaf.addHelpText('after', '\nOptions of every command: see "pxmgr --help"');
    leaf.action((...given: unknown[]) => this.choose(command, leaf, given));
    this.branchFor(words.slice(0, -1)).addCommand(leaf, { hidden: command.hidden });
  }

  private choose(command: Command, leaf: Branch, given: readonly unknown[]): void {
    const args = given
      .slice(0, command.args.length)
      .flat()
      .filter((value): value is string => typeof value === 'string');
    const found = leaf.opts<Record<string, unknown>>();
    const inherited = leaf.optsWithGlobals<Record<string, unknown>>();
    const globals = readOptions(GLOBAL_OPTIONS, {
      ...inherited,
      ...Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)),
    }) as GlobalValues;
    const options = readOptions(command.options, found) as Input<OptionTable>['options'];
    this.chosen = { kind: 'command', command, input: { args, options }, globals };
  }
}

/**
 * The command that argv asks for, found in a tree of those whose words all occur in it: that of all commands takes longer
 * to make than a list to fetch. What fits in it fits in the other as well; help and errors need the other.
 */
function commandOf(definition: ProgramDefinition, argv: readonly string[]): Invocation | undefined {
  const commands = definition.commands.filter(({ path }) => path.split(' ').every((word) => argv.includes(word)));
  const tree = new Tree({ ...definition, commands });
  return tree.walk(argv) === undefined ? tree.chosen : undefined;
}

/** Throws PXM_USAGE with the nearest known word when argv does not fit. */
export function parseInvocation(definition: ProgramDefinition, argv: readonly string[]): Invocation {
  return commandOf(definition, argv) ?? new Tree(definition).parse(argv);
}
