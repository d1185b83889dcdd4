/// Carillon for Flutter on Android and iOS, in one file: copy it into `lib/`. Nothing but Dart's own libraries.
/// Not compiled in this repository; its requests are proven by apps/gateway/test/phone-requests.test.ts.
///
///     PUT /v1/me/devices/{installation}     authorization: Bearer {userToken}
///       {"kind":"fcm","token":"fcm-token-1","app":"driver","locale":"de-AT"}
///     DELETE /v1/me/devices/{installation}  authorization: Bearer {userToken}
///     POST /v1/receipts                     no sign-in: the token of the payload is enough
///       {"receipts":[{"token":"{rt}","status":"delivered","at":"2026-01-02T03:04:05.678Z"},
///                    {"token":"{rt}","status":"opened","at":"2026-01-02T03:04:09.012Z"}]}
///
/// The guide is docs/guides/flutter.md.
library carillon;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

class Carillon {
  /// [folder]: a folder of the app that lasts, as path_provider's getApplicationSupportDirectory gives it. [userToken]
  /// gives the signed-in person's token of the edge, or null when nobody is signed in; a background handler needs none.
  /// [takeOff] takes the notification with this `nid` off the screen, with whatever plugin draws yours.
  Carillon({
    required this.gateway,
    required Directory folder,
    this.app,
    this.userToken = _nobody,
    this.takeOff,
  })  : _receipts = Directory('${folder.path}/carillon/receipts')..createSync(recursive: true),
        _seen = Directory('${folder.path}/carillon/seen')..createSync(recursive: true),
        _registered = File('${folder.path}/carillon/registered'),
        _installation = File('${folder.path}/carillon/installation');

  final Uri gateway;
  final String? app;
  final Future<String?> Function() userToken;
  final Future<void> Function(String nid)? takeOff;

  // One file each: the background handler runs in an isolate of its own, and two never write the same file.
  final Directory _receipts;
  final Directory _seen;
  final File _registered;
  final File _installation;
  final Random _random = Random.secure();
  final HttpClient _http = HttpClient()..connectionTimeout = _timeout;
  Timer? _retry;
  Duration _wait = _firstWait;

  static const _timeout = Duration(seconds: 5);
  static const _firstWait = Duration(seconds: 5);
  static const _longestWait = Duration(minutes: 5);
  static const _sayAgain = Duration(days: 7);
  static const _kept = 200;
  static const _batch = 100;

  /// Made once; the same for everybody who signs in on this phone.
  String get installation {
    if (_installation.existsSync()) return _installation.readAsStringSync();
    final made = List.generate(16, (_) => _random.nextInt(256).toRadixString(16).padLeft(2, '0')).join();
    _installation.writeAsStringSync(made, flush: true);
    return made;
  }

  /// At every start of the app with a signed-in person, after a sign-in, and from onTokenRefresh: the gateway is told
  /// when something changed or a week has gone by. False when it could not be told; the next call does it.
  Future<bool> register(String fcmToken) async {
    final device = jsonEncode({
      'kind': 'fcm',
      'token': fcmToken,
      if (app != null) 'app': app,
      'locale': Platform.localeName.split('.').first.replaceAll('_', '-'),
    });
    unawaited(_flushAndRetry());
    if (_registered.existsSync() &&
        _registered.readAsStringSync() == device &&
        DateTime.now().difference(_registered.lastModifiedSync()) < _sayAgain) {
      return true;
    }
    final token = await userToken();
    if (token == null) return false;
    final status = await _call('PUT', '/v1/me/devices/$installation', body: device, token: token);
    if (status != 200 && status != 201) return false;
    _registered.writeAsStringSync(device, flush: true);
    return true;
  }

  /// Somebody else signed in without a sign-out: what was registered before no longer counts.
  void userChanged() {
    if (_registered.existsSync()) _registered.deleteSync();
  }

  /// Before your own sign-out, while the token still holds. Call FirebaseMessaging's deleteToken too: then no push
  /// comes any more even if this says false, which means that the gateway could not be told.
  Future<bool> signOut() async {
    userChanged();
    final token = await userToken();
    if (token == null) return false;
    final status = await _call('DELETE', '/v1/me/devices/$installation', token: token);
    return status == 204 || status == 404;
  }

  /// With `message.data`, from onMessage and from the handler of onBackgroundMessage (await it there: the phone may
  /// stop the app once the handler returns). [draw] is called unless this notification was here before or takes
  /// another off the screen.
  Future<void> received(Map<String, dynamic> data, {Future<void> Function()? draw}) async {
    final nid = data['nid'];
    final clear = data['clear'];
    if (clear is String) {
      await takeOff?.call(clear);
    } else if (nid is! String || !_isName(nid)) {
      await draw?.call();
    } else if (!File('${_seen.path}/$nid').existsSync()) {
      await draw?.call();
      File('${_seen.path}/$nid').writeAsStringSync('');
      _forgetOldest(_seen, byTime: true);
    }
    _acknowledge(data['rt'], 'delivered');
    await _flushAndRetry();
  }

  /// From onMessageOpenedApp, getInitialMessage and your own notifications; [action]: the id of the button that was
  /// pressed. The answer is the url to show, if there is one: check it before you open it.
  Future<String?> opened(Map<String, dynamic> data, {String? action}) async {
    _acknowledge(data['rt'], action == null ? 'opened' : 'clicked', action: action);
    unawaited(_flushAndRetry());
    final url = data['url'];
    return url is String ? url : null;
  }

  /// For notifications that your own plugin draws, where it tells.
  Future<void> dismissed(Map<String, dynamic> data) async {
    _acknowledge(data['rt'], 'dismissed');
    await _flushAndRetry();
  }

  /// Sends what waits. True when nothing waits any more.
  Future<bool> flush() async {
    while (true) {
      final files = _oldest(_receipts).take(_batch).toList();
      if (files.isEmpty) return true;
      final receipts = files.map(_read).whereType<Map<String, dynamic>>().toList();
      if (receipts.isNotEmpty) {
        final status = await _call('POST', '/v1/receipts', body: jsonEncode({'receipts': receipts}));
        // taken, or the gateway itself says that it never will take them
        if (!const [202, 400, 401, 404].contains(status)) return false;
      }
      for (final file in files) {
        _delete(file);
      }
    }
  }

  Future<void> _flushAndRetry() async {
    if (await flush()) {
      _wait = _firstWait;
      return;
    }
    _retry?.cancel();
    _retry = Timer(_wait, () => unawaited(_flushAndRetry()));
    _wait = _wait * 2 > _longestWait ? _longestWait : _wait * 2;
  }

  /// On disk before it is sent: from then on only the gateway's answer removes it.
  void _acknowledge(Object? rt, String status, {String? action}) {
    if (rt is! String || rt.isEmpty || rt.length > 256) return;
    final now = DateTime.now().toUtc();
    final at = '${now.toIso8601String().substring(0, 23)}Z';
    final name = '${now.millisecondsSinceEpoch}-${_random.nextInt(1 << 32)}';
    // renamed when whole: a flush of the other isolate never reads half of it
    File('${_receipts.path}/.$name')
      ..writeAsStringSync(jsonEncode({'token': rt, 'status': status, 'at': at, if (action != null) 'action': action}), flush: true)
      ..renameSync('${_receipts.path}/$name');
    _forgetOldest(_receipts);
  }

  void _forgetOldest(Directory folder, {bool byTime = false}) {
    final files = _oldest(folder);
    if (byTime) files.sort((a, b) => a.statSync().modified.compareTo(b.statSync().modified));
    for (final file in files.take(max(0, files.length - _kept))) {
      _delete(file);
    }
  }

  /// Oldest first: their names begin with the time.
  List<File> _oldest(Directory folder) => folder
      .listSync()
      .whereType<File>()
      .where((file) => !file.uri.pathSegments.last.startsWith('.'))
      .toList()
    ..sort((a, b) => a.path.compareTo(b.path));

  Map<String, dynamic>? _read(File file) {
    try {
      return jsonDecode(file.readAsStringSync()) as Map<String, dynamic>;
    } on Exception {
      return null; // the other isolate has sent it
    }
  }

  void _delete(File file) {
    try {
      file.deleteSync();
    } on FileSystemException {
      return; // the other isolate was first
    }
  }

  /// The status; null when there is no answer of the gateway: no network, or a proxy's page.
  Future<int?> _call(String method, String path, {String? body, String? token}) async {
    try {
      final request = await _http.openUrl(method, gateway.resolve(path)).timeout(_timeout);
      if (token != null) request.headers.set('authorization', 'Bearer $token');
      if (body != null) {
        final bytes = utf8.encode(body);
        request.headers.set('content-type', 'application/json');
        request.contentLength = bytes.length;
        request.add(bytes);
      }
      final response = await request.close().timeout(_timeout);
      await response.drain<void>();
      final own = response.statusCode < 300 ||
          (response.headers.value('content-type') ?? '').startsWith('application/problem+json');
      return own ? response.statusCode : null;
    } on Exception {
      return null;
    }
  }

  static bool _isName(String nid) => RegExp(r'^[A-Za-z0-9-]{1,64}$').hasMatch(nid);

  static Future<String?> _nobody() async => null;
}
