/** Servers in Node that are measured beside ours; Socket.IO without and with its recovery of missed messages. */
export const PEERS = ['ws', 'socket.io', 'socket.io-recovery'] as const
export type PeerName = (typeof PEERS)[number]
