/** The container that most steps are about, at the first id. */
export const WEB = 'pxmgr-test-web';
