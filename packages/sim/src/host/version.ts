/** The level of Proxmox VE this stand-in answers for: that of the recordings. */
export const PVE_VERSION = '9.2.11';
export const PVE_REPOID = '14a22df3';
