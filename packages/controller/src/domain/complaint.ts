/** Notes one problem of a request: the field it is in, and what is wrong. */
export type Complain = (field: string, text: string) => void;
