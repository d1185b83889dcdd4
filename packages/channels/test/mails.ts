/** The delivery that the mails in `test/mails` are about, and who it was for. */
export const NOTIFICATION = '0198c0de-0000-8000-8000-00000000aaaa'
export const DELIVERY = '0198c0de-0000-8000-8000-00000000dddd'
export const ANA = 'ana@mail.example'
const gone = { kind: 'bounce', permanent: true, cause: 'address', recipient: ANA, deliveryId: DELIVERY }
/** What each mail in `test/mails` tells, and whether it proves which delivery it is about. */
export const EXPECTED: Record<string, { report: object; proven: boolean }> = {
  'postfix-unknown-user': {
    report: { ...gone, status: '5.1.1', diagnostic: /^550 5\.1\.1 .*User unknown in virtual/ },
    proven: true,
  },
  'postfix-delayed': {
    report: {
      kind: 'delayed',
      status: '4.4.1',
      diagnostic: /timed out/,
      recipient: ANA,
      deliveryId: DELIVERY,
    },
    proven: true,
  },
  'postfix-delivered': {
    report: {
      kind: 'delivered',
      status: '2.0.0',
      diagnostic: /queued/,
      recipient: ANA,
      deliveryId: DELIVERY,
    },
    proven: true,
  },
  'exim-plain': { report: { ...gone, status: '5.1.1', diagnostic: '550 No such user here' }, proven: true },
  'exim-delayed-plain': { report: { kind: 'delayed', status: '4.3.2', recipient: ANA }, proven: true },
  'exchange-online': { report: { ...gone, status: '5.1.10', diagnostic: /RecipientNotFound/ }, proven: true },
  'exchange-plain': { report: { ...gone, status: '5.1.1' }, proven: true },
  qmail: { report: { ...gone, status: '5.1.1', diagnostic: /^Remote host said: 550/ }, proven: true },
  'gmail-address-not-found': {
    report: { ...gone, status: '5.1.1', diagnostic: /unnecessary spaces/ },
    proven: true,
  },
  'mailbox-full': {
    report: { ...gone, cause: 'mailbox-full', status: '5.2.2', diagnostic: /over quota/ },
    proven: true,
  },
  'gave-up-after-days': {
    report: { ...gone, permanent: false, cause: 'unavailable', status: '4.4.1' },
    proven: true,
  },
  'refused-by-policy': { report: { ...gone, cause: 'rejected', status: '5.7.1' }, proven: true },
  'forwarder-reached-one': {
    report: { kind: 'bounce', permanent: false, status: '5.1.1', recipient: 'team+ana@mail.example' },
    proven: true,
  },
  'status-in-base64': { report: { ...gone, status: '5.4.4' }, proven: true },
  'only-the-receipt': { report: { ...gone, status: '5.1.1', bounceAddress: undefined }, proven: true },
  forged: { report: { kind: 'bounce', permanent: true, status: '5.1.1' }, proven: false },
  'arf-abuse': {
    report: { kind: 'complaint', feedbackType: 'abuse', recipient: ANA, deliveryId: DELIVERY },
    proven: true,
  },
  'arf-redacted': {
    report: { kind: 'complaint', feedbackType: 'abuse', deliveryId: DELIVERY },
    proven: true,
  },
  'arf-not-spam': { report: { kind: 'other' }, proven: false },
  'dmarc-failure': { report: { kind: 'other' }, proven: false },
  'out-of-office': { report: { kind: 'auto-reply' }, proven: false },
  vacation: { report: { kind: 'auto-reply' }, proven: false },
  'vacation-that-sounds-like-a-bounce': { report: { kind: 'auto-reply' }, proven: false },
  smtputf8: { report: { ...gone, status: '5.1.1', recipient: 'bücher@mail.example' }, proven: true },
  'exchange-access-denied': { report: { ...gone, status: '5.4.1' }, proven: true },
  'sendmail-no-blank-line': { report: { ...gone, status: '5.1.1' }, proven: true },
  'a-person-about-a-bounce': { report: { kind: 'other' }, proven: false },
  'a-bounce-forwarded': { report: { kind: 'other' }, proven: false },
  'read-receipt': { report: { kind: 'other' }, proven: false },
  truncated: { report: { ...gone, status: '5.1.1' }, proven: true },
  'truncated-early': { report: { ...gone, status: '5.1.1' }, proven: true },
  'no-boundary': {
    report: { kind: 'bounce', permanent: false, cause: 'unavailable', status: '5.0.0', deliveryId: DELIVERY },
    proven: true,
  },
  'binary-in-the-status': {
    report: { kind: 'bounce', status: '5.1.1', diagnostic: /^550 \[31mred %s \S+ <script>$/ },
    proven: true,
  },
}
