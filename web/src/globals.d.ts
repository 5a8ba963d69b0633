declare const __SOURCE_HASH__: string;
