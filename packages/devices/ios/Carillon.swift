/*
 * Carillon on iOS, in one file: add it to your app and to its notification service extension. iOS 15, nothing but the
 * platform. Not compiled in this repository; its requests are proven by apps/gateway/test/phone-requests.test.ts.
 *
 *   PUT /v1/me/devices/{installation}     authorization: Bearer {userToken}
 *     {"kind":"apns","token":"00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0",
 *      "environment":"sandbox","app":"driver","locale":"de-AT"}
 *   DELETE /v1/me/devices/{installation}  authorization: Bearer {userToken}
 *   PUT /v1/me/devices/{installation}/live-activities/{activity}     authorization: Bearer {userToken}
 *     {"token":"80d1f2a4c6e8"}
 *   DELETE /v1/me/devices/{installation}/live-activities/{activity}  authorization: Bearer {userToken}
 *   POST /v1/receipts                     no sign-in: the token of the payload is enough
 *     {"receipts":[{"token":"{rt}","status":"delivered","at":"2026-01-02T03:04:05.678Z"},
 *                  {"token":"{rt}","status":"opened","at":"2026-01-02T03:04:09.012Z"}]}
 *
 * The guide is docs/guides/ios.md.
 */
import Foundation
import UserNotifications

public final class Carillon {
    /// What the app and its extension share: acknowledgements that wait lie there, one file each, so that two
    /// processes never write the same one.
    private let folder: URL
    private let defaults: UserDefaults
    private let gateway: URL
    private let app: String?
    private let userToken: () async -> String?

    /// `group`: the App Group of the app and its extension. `userToken` gives the signed-in person's token of the edge,
    /// or nil when nobody is signed in; the extension needs none.
    public init(gateway: URL, group: String, app: String? = nil, userToken: @escaping () async -> String? = { nil }) {
        let files = FileManager.default
        let shared = files.containerURL(forSecurityApplicationGroupIdentifier: group)
        let base = shared ?? files.urls(for: .applicationSupportDirectory, in: .userDomainMask)[0]
        self.folder = base.appendingPathComponent("carillon-receipts", isDirectory: true)
        self.defaults = UserDefaults(suiteName: group) ?? .standard
        self.gateway = gateway
        self.app = app
        self.userToken = userToken
        try? files.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Made once; the same for everybody who signs in on this phone.
    public var installation: String {
        if let known = defaults.string(forKey: "carillon.installation") { return known }
        let made = UUID().uuidString.lowercased()
        defaults.set(made, forKey: "carillon.installation")
        return made
    }

    // MARK: - signing in and out

    /// From didRegisterForRemoteNotificationsWithDeviceToken. Ask for the token at every start of the app with a
    /// signed-in person and after a sign-in: the gateway is told when something changed or a week has gone by. False
    /// when it could not be told; the next call does it.
    @discardableResult
    public func register(deviceToken: Data) async -> Bool {
        var device = [
            "kind": "apns",
            "token": hex(deviceToken),
            "environment": environment,
            "locale": Locale.preferredLanguages.first ?? "en",
        ]
        if let app = app { device["app"] = app }
        let known = defaults.dictionary(forKey: "carillon.registered") as? [String: String]
        let fresh = Date().timeIntervalSince1970 - defaults.double(forKey: "carillon.registeredAt") < 7 * 86_400
        if known == device && fresh {
            await flush()
            return true
        }
        guard let token = await userToken() else { return false }
        let status = await call("PUT", ["v1", "me", "devices", installation], body: device, token: token)
        guard status == 200 || status == 201 else { return false }
        defaults.set(device, forKey: "carillon.registered")
        defaults.set(Date().timeIntervalSince1970, forKey: "carillon.registeredAt")
        await flush()
        return true
    }

    /// Somebody else signed in without a sign-out: what was registered before no longer counts.
    public func userChanged() {
        defaults.removeObject(forKey: "carillon.registered")
    }

    /// Before your own sign-out, while the token still holds. Call unregisterForRemoteNotifications too: then no push
    /// comes any more even if this says false, which means that the gateway could not be told.
    public func signOut() async -> Bool {
        userChanged()
        UNUserNotificationCenter.current().removeAllDeliveredNotifications()
        guard let token = await userToken() else { return false }
        let status = await call("DELETE", ["v1", "me", "devices", installation], token: token)
        return status == 204 || status == 404
    }

    /// For each token of `activity.pushTokenUpdates`; `id` is what workflows call the activity, or `start` for the tokens
    /// of `Activity.pushToStartTokenUpdates`. The device must be registered first.
    public func liveActivity(_ id: String, token activityToken: Data) async -> Bool {
        guard let token = await userToken() else { return false }
        let path = ["v1", "me", "devices", installation, "live-activities", id]
        return await call("PUT", path, body: ["token": hex(activityToken)], token: token) == 200
    }

    public func liveActivityEnded(_ id: String) async -> Bool {
        guard let token = await userToken() else { return false }
        let path = ["v1", "me", "devices", installation, "live-activities", id]
        let status = await call("DELETE", path, token: token)
        return status == 204 || status == 404
    }

    // MARK: - what became of a push

    /// In the extension for a push that is shown, and from didReceiveRemoteNotification for one that isn't (content-
    /// available): takes off the screen what the push says, sets the badge and acknowledges.
    public func received(_ userInfo: [AnyHashable: Any]) async {
        if let nid = userInfo["clear"] as? String { await clear(nid) }
        if #available(iOS 16.0, *), let badge = (userInfo["badge"] as? String).flatMap({ Int($0) }) {
            try? await UNUserNotificationCenter.current().setBadgeCount(badge)
        }
        await acknowledge(userInfo["rt"] as? String, "delivered")
    }

    /// From userNotificationCenter(_:didReceive:). The answer is the url to show, if there is one: check it before you
    /// open it. `dismissed` comes only for categories with the option customDismissAction.
    public func opened(_ response: UNNotificationResponse) async -> URL? {
        let userInfo = response.notification.request.content.userInfo
        let action = response.actionIdentifier
        let rt = userInfo["rt"] as? String
        if action == UNNotificationDismissActionIdentifier {
            await acknowledge(rt, "dismissed")
            return nil
        }
        let whole = action == UNNotificationDefaultActionIdentifier
        await acknowledge(rt, whole ? "opened" : "clicked", action: whole ? nil : action)
        let url = (whole ? nil : self.url(of: action, in: userInfo)) ?? userInfo["url"] as? String
        return url.flatMap { URL(string: $0) }
    }

    /// Takes a notification off the screen, also one that was drawn while the app was not running.
    public func clear(_ nid: String) async {
        let center = UNUserNotificationCenter.current()
        let shown = await center.deliveredNotifications()
        let found = shown.map { $0.request }.filter { $0.content.userInfo["nid"] as? String == nid }
        center.removeDeliveredNotifications(withIdentifiers: found.map { $0.identifier })
    }

    /// Sends what waits; at the start of the app, and whenever it comes to the front. True when nothing waits any more.
    @discardableResult
    public func flush() async -> Bool {
        while true {
            let files = waiting().prefix(100)
            if files.isEmpty { return true }
            let receipts = files.compactMap { file -> [String: String]? in
                guard let data = try? Data(contentsOf: file) else { return nil }
                return try? JSONSerialization.jsonObject(with: data) as? [String: String]
            }
            if !receipts.isEmpty {
                let status = await call("POST", ["v1", "receipts"], body: ["receipts": receipts])
                // taken, or the gateway itself says that it never will take them
                guard let status = status, [202, 400, 401, 404].contains(status) else { return false }
            }
            for file in files { try? FileManager.default.removeItem(at: file) }
        }
    }

    // MARK: - inside

    /// On disk before it is sent: from then on only the gateway's answer removes it.
    private func acknowledge(_ rt: String?, _ status: String, action: String? = nil) async {
        if let rt = rt, !rt.isEmpty, rt.utf8.count <= 256 {
            let format = ISO8601DateFormatter()
            format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
            var receipt = ["token": rt, "status": status, "at": format.string(from: Date())]
            if let action = action { receipt["action"] = String(action.prefix(64)) }
            let name = String(format: "%014.0f-", Date().timeIntervalSince1970 * 1000) + UUID().uuidString
            let data = try? JSONSerialization.data(withJSONObject: receipt)
            try? data?.write(to: folder.appendingPathComponent(name), options: .atomic)
            for old in waiting().dropLast(200) { try? FileManager.default.removeItem(at: old) }
        }
        await flush()
    }

    /// Oldest first: their names begin with the time.
    private func waiting() -> [URL] {
        let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    /// The status; nil when there is no answer of the gateway: no network, or a proxy's page.
    private func call(
        _ method: String, _ path: [String], body: [String: Any]? = nil, token: String? = nil
    ) async -> Int? {
        let url = path.reduce(gateway) { $0.appendingPathComponent($1) }
        var request = URLRequest(url: url, timeoutInterval: 10)
        request.httpMethod = method
        if let token = token { request.setValue("Bearer \(token)", forHTTPHeaderField: "authorization") }
        if let body = body {
            request.setValue("application/json", forHTTPHeaderField: "content-type")
            request.httpBody = try? JSONSerialization.data(withJSONObject: body)
        }
        guard let (_, answer) = try? await URLSession.shared.data(for: request),
            let response = answer as? HTTPURLResponse
        else { return nil }
        let type = response.value(forHTTPHeaderField: "content-type") ?? ""
        let own = response.statusCode < 300 || type.hasPrefix("application/problem+json")
        return own ? response.statusCode : nil
    }

    private func url(of action: String, in userInfo: [AnyHashable: Any]) -> String? {
        guard let text = userInfo["actions"] as? String,
            let actions = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: String]]
        else { return nil }
        return actions.first { $0["id"] == action }?["url"]
    }

    private func hex(_ data: Data) -> String {
        data.map { String(format: "%02x", $0) }.joined()
    }

    /// Apps run from Xcode get tokens of Apple's sandbox; those from TestFlight and the App Store of production.
    private var environment: String {
        #if DEBUG
        return "sandbox"
        #else
        return "production"
        #endif
    }
}

/// The notification service extension: subclass it, give it the helper, and name your class in the extension's
/// NSExtensionPrincipalClass. It runs for pushes with mutable-content, which all that are shown carry: acknowledges
/// `delivered` and attaches the image. The phone allows about 30 seconds; then it is shown as it is.
open class CarillonNotificationService: UNNotificationServiceExtension {
    /// The helper with the same gateway and App Group as in the app.
    open var carillon: Carillon { fatalError("give the helper") }

    private let lock = NSLock()
    private var deliver: ((UNNotificationContent) -> Void)?
    private var content = UNMutableNotificationContent()

    override open func didReceive(
        _ request: UNNotificationRequest,
        withContentHandler contentHandler: @escaping (UNNotificationContent) -> Void
    ) {
        deliver = contentHandler
        content = request.content.mutableCopy() as? UNMutableNotificationContent ?? content
        let userInfo = request.content.userInfo
        Task {
            async let acknowledged: Void = carillon.received(userInfo)
            // Firebase puts it elsewhere
            let firebase = (userInfo["fcm_options"] as? [String: Any])?["image"] as? String
            if let attachment = await image(userInfo["image"] as? String ?? firebase) {
                content.attachments = [attachment]
            }
            await acknowledged
            finish()
        }
    }

    override open func serviceExtensionTimeWillExpire() {
        finish()
    }

    /// Once, whoever comes first: the image or the end of the time.
    private func finish() {
        lock.lock()
        let deliver = self.deliver
        self.deliver = nil
        lock.unlock()
        deliver?(content)
    }

    private func image(_ address: String?) async -> UNNotificationAttachment? {
        guard let address = address, let url = URL(string: address), url.scheme == "https",
            let (file, _) = try? await URLSession.shared.download(from: url)
        else { return nil }
        let kind = url.pathExtension.isEmpty ? "jpg" : url.pathExtension
        let named = file.deletingPathExtension().appendingPathExtension(kind)
        try? FileManager.default.moveItem(at: file, to: named)
        return try? UNNotificationAttachment(identifier: "image", url: named)
    }
}
