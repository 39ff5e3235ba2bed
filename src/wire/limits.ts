/**
 * Every limit and time of the protocol; docs/protocol.md explains each under the same name. Sizes are bytes unless
 * said otherwise, times ms.
 */

/** The protocol version: what `Auth.Version` and `AuthResp.Version` must equal. */
export const protocolVersion = '2'

/** The `MmVersion` ("major.minor") that both ends announce: the last ngrok 1.x release, as its peers only log it. */
export const announcedRelease = '1.7'

/** Bytes of the length in front of each frame: a signed 64-bit integer, little-endian. */
export const frameHeaderBytes = 8

/**
 * Longest body accepted before authentication: one byte less than 64 KiB, so that the third byte of a plain connection
 * is always 0 and can't be taken for the beginning of TLS.
 */
export const maxFrameBeforeAuth = 64 * 1024 - 1

/** Longest body accepted on an authenticated connection. */
export const maxFrame = 1024 * 1024

/**
 * Longest frame that we send, header included: the plaintext of one TLS record (RFC 8446 §5.1). An ngrok 1.x peer
 * reads a body with one read call, so a frame in two records breaks it.
 */
export const maxSentFrame = 16 * 1024

/** Deepest nesting of objects and arrays in a frame. Ours need 3; the rest is room for unknown types. */
export const maxDepth = 32

/** Longest short field in characters: names, ids, addresses, versions, tickets. */
export const maxNameLength = 1024

/** Longest free text in characters: `Error`, `Reason`, `HttpAuth`. */
export const maxTextLength = 8192

/** Most characters of a message type of a peer's that are ever shown in a log. */
export const maxShownType = 32

/** Most names in an `Extensions` list. */
export const maxExtensions = 64

/** Most networks in each of `ReqTunnel.Allow` and `Deny`: both lists fit {@link maxSentFrame}. */
export const maxNetworks = 64

/** Most tickets in one `ReqProxy`: 256 of 32 characters fit {@link maxSentFrame}. */
export const maxTicketsPerReqProxy = 256

/** Most tickets of a session that may be waiting to be redeemed; beyond it the oldest lapses. */
export const maxLiveTickets = 1024

/** From accept to the end of the first message, TLS handshake included. */
export const firstMessageMs = 10_000

/** From the agent's `Auth` to the relay's `AuthResp`. */
export const authRespMs = 15_000

/** The agent sends a `Ping` so often. */
export const pingIntervalMs = 20_000

/** The agent gives the session up when a `Pong` takes longer. */
export const pongTimeoutMs = 15_000

/** The relay gives a session up from which it has heard nothing for so long. */
export const silenceMs = 30_000

/** The relay looks for silent sessions so often. */
export const silenceCheckMs = 10_000

/** With `ping2`, both ends send a `Ping` so often. */
export const ping2IntervalMs = 5_000

/** With `ping2`, either end gives the session up when it has heard nothing for so long. */
export const ping2SilenceMs = 10_000

/** A ticket can be redeemed for so long. */
export const ticketLifeMs = 30_000

/** Bytes of the header of a lane's frame. */
export const laneHeaderBytes = 8

/** Longest payload of an `OPEN`: with its header one TLS record. */
export const maxLaneOpen = maxSentFrame - laneHeaderBytes

/** Longest payload of a `DATA`: the largest pipe that the kernel gives an ordinary user. */
export const maxLaneData = 1024 * 1024

/** From a `RESET` to the end of its visit in both directions; a lane that takes longer is closed. */
export const laneSettleMs = 10_000
