/*
 * Carillon on Android, in one file: copy it into your app. It needs Android 6 (API 23) and nothing but the platform.
 * Not compiled in this repository; its requests are proven by apps/gateway/test/phone-requests.test.ts.
 *
 *   PUT /v1/me/devices/{installation}     authorization: Bearer {userToken}
 *     {"kind":"fcm","token":"fcm-token-1","app":"driver","locale":"de-AT"}
 *   DELETE /v1/me/devices/{installation}  authorization: Bearer {userToken}
 *   POST /v1/receipts                     no sign-in: the token of the payload is enough
 *     {"receipts":[{"token":"{rt}","status":"delivered","at":"2026-01-02T03:04:05.678Z"},
 *                  {"token":"{rt}","status":"opened","at":"2026-01-02T03:04:09.012Z"}]}
 *
 * Make one in Application.onCreate and keep it. The guide is docs/guides/android.md.
 */
package dev.carillon.devices

import android.app.NotificationManager
import android.content.Context
import android.content.Intent
import android.content.SharedPreferences
import java.io.IOException
import java.net.HttpURLConnection
import java.net.URL
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import java.util.UUID
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.ScheduledFuture
import java.util.concurrent.TimeUnit
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/**
 * `userToken` gives the signed-in person's token of the edge, or null when nobody is signed in; it runs on the helper's
 * own thread and may wait for your server.
 */
class Carillon(
    context: Context,
    private val gateway: String,
    private val app: String?,
    private val userToken: () -> String?
) {
    private val notifications = context.getSystemService(Context.NOTIFICATION_SERVICE) as NotificationManager
    private val store: SharedPreferences = context.getSharedPreferences("carillon", Context.MODE_PRIVATE)
    private val thread: ScheduledExecutorService = Executors.newSingleThreadScheduledExecutor()
    private val lock = Any()
    private val flushing = Any()
    private var waitMs = FIRST_WAIT_MS
    private var retry: ScheduledFuture<*>? = null

    /** Made once; the same for everybody who signs in on this phone. */
    val installation: String = synchronized(lock) {
        store.getString("installation", null)
            ?: UUID.randomUUID().toString().also { made -> write { putString("installation", made) } }
    }

    init {
        soon()
    }

    /**
     * At every start of the app with a signed-in person, after a sign-in, and from onNewToken: the gateway is told when
     * something changed or a week has gone by, and again until it has taken it.
     */
    fun register(fcmToken: String) {
        val device = JSONObject().put("kind", "fcm").put("token", fcmToken)
        if (app != null) device.put("app", app)
        device.put("locale", Locale.getDefault().toLanguageTag())
        synchronized(lock) { write { putString("device", device.toString()) } }
        soon()
    }

    /** Somebody else signed in without a sign-out: what was registered before no longer counts. */
    fun userChanged() {
        synchronized(lock) { write { remove("registered") } }
        soon()
    }

    /**
     * First in onMessageReceived, which is a background thread: waits for the gateway, about ten seconds at most, since
     * the phone may stop the app once onMessageReceived returns. `draw` is called unless this notification was here
     * before or takes another off the screen; notify(tag, NOTIFICATION_ID, ...) with the tag it gets, so that a later
     * one of the same collapse key replaces it and clearing finds it. Give `message.collapseKey` if you use such keys.
     */
    fun received(data: Map<String, String>, collapseKey: String? = null, draw: (tag: String) -> Unit = {}) {
        val nid = data["nid"]
        val clear = data["clear"]
        if (clear != null) {
            clear(clear, data["tag"])
        } else if (nid == null) {
            draw(collapseKey ?: UUID.randomUUID().toString())
        } else if (!wasHere(nid)) {
            val tag = if (collapseKey == null || collapseKey == "do_not_collapse") nid else collapseKey
            draw(tag)
            remember(nid, tag)
        }
        acknowledge(data["rt"], "delivered")
        if (!flush()) thread.execute { againLater() }
    }

    /**
     * In onCreate and onNewIntent of the activity that a notification opens: Firebase puts the data into the intent for
     * what it draws itself, and so do you for what you draw. `action`: the id of the button that was pressed. The
     * answer is the url to show, if there is one: check it before you open it.
     */
    fun opened(intent: Intent, action: String? = null): String? {
        acknowledge(intent.getStringExtra("rt"), if (action == null) "opened" else "clicked", action)
        intent.removeExtra("rt") // the same intent is there again when the activity is turned
        soon()
        return intent.getStringExtra("url")
    }

    /** From the deleteIntent of a notification that you drew. */
    fun dismissed(intent: Intent) {
        acknowledge(intent.getStringExtra("rt"), "dismissed")
        soon()
    }

    /** Takes a notification off the screen. `drawn`: the tag under which Firebase drew it, where that is not its nid. */
    fun clear(nid: String, drawn: String? = null) {
        val seen = synchronized(lock) { read("seen") }
        val tag = seen.optJSONObject(nid)?.optString("tag") ?: drawn ?: nid
        val newer = seen.keys().asSequence().any { it != nid && isOver(seen, it, nid, tag) }
        if (!newer) notifications.cancel(tag, NOTIFICATION_ID)
    }

    /**
     * Before your own sign-out, while the token still holds. Call FirebaseMessaging.deleteToken too: then no push comes
     * any more even if `done` says false, which means that the gateway could not be told.
     */
    fun signOut(done: (Boolean) -> Unit) {
        synchronized(lock) { write { remove("device").remove("registered") } }
        thread.execute {
            notifications.cancelAll()
            val token = userToken()
            val status = if (token == null) null else call("DELETE", devicePath(), null, token)
            done(status == 204 || status == 404)
        }
    }

    private fun soon() {
        thread.execute { synchronize() }
    }

    /** Registers and sends what waits; comes back by itself, slower and slower, while the app lives. */
    private fun synchronize() {
        val registered = registerNow()
        val sent = flush()
        if (registered && sent) waitMs = FIRST_WAIT_MS else againLater()
    }

    private fun againLater() {
        retry?.cancel(false)
        retry = thread.schedule({ synchronize() }, waitMs, TimeUnit.MILLISECONDS)
        waitMs = minOf(waitMs * 2, LONGEST_WAIT_MS)
    }

    private fun registerNow(): Boolean {
        val device = store.getString("device", null) ?: return true
        val fresh = System.currentTimeMillis() - store.getLong("registeredAt", 0) < SAY_AGAIN_MS
        if (fresh && store.getString("registered", null) == device) return true
        val token = userToken() ?: return true
        val status = call("PUT", devicePath(), device, token)
        if (status == 200 || status == 201) {
            val at = System.currentTimeMillis()
            synchronized(lock) { write { putString("registered", device).putLong("registeredAt", at) } }
            return true
        }
        // the token of a person who is gone, or a body that is wrong: the next register() tries again
        return status == 400 || status == 401 || status == 403
    }

    /** On disk before it is sent: from then on only the gateway's answer removes it. */
    private fun acknowledge(rt: String?, status: String, action: String? = null) {
        if (rt == null || rt.isEmpty() || rt.length > 256) return
        val receipt = JSONObject().put("token", rt).put("status", status).put("at", now())
        if (action != null) receipt.put("action", action.take(64))
        synchronized(lock) {
            val all = readList("receipts").put(receipt)
            while (all.length() > RECEIPTS_KEPT) all.remove(0)
            write { putString("receipts", all.toString()) }
        }
    }

    /** True when nothing waits any more. */
    private fun flush(): Boolean {
        synchronized(flushing) {
            while (true) {
                val batch = synchronized(lock) { readList("receipts") }
                if (batch.length() == 0) return true
                val status = call("POST", "/v1/receipts", JSONObject().put("receipts", batch).toString(), null)
                // taken, or the gateway itself says that it never will take them
                if (status != 202 && status != 400 && status != 401 && status != 404) return false
                forget(batch)
            }
        }
    }

    private fun forget(sent: JSONArray) = synchronized(lock) {
        val gone = (0 until sent.length()).map { sent.getJSONObject(it).toString() }.toSet()
        val all = readList("receipts")
        val rest = JSONArray()
        for (index in 0 until all.length()) {
            if (all.getJSONObject(index).toString() !in gone) rest.put(all.getJSONObject(index))
        }
        write { putString("receipts", rest.toString()) }
    }

    /** The status; null when there is no answer of the gateway: no network, or a proxy's page. */
    private fun call(method: String, path: String, body: String?, token: String?): Int? {
        val connection = URL(gateway + path).openConnection() as HttpURLConnection
        return try {
            connection.requestMethod = method
            connection.connectTimeout = TIMEOUT_MS
            connection.readTimeout = TIMEOUT_MS
            if (token != null) connection.setRequestProperty("authorization", "Bearer $token")
            if (body != null) {
                connection.doOutput = true
                connection.setRequestProperty("content-type", "application/json")
                connection.outputStream.use { it.write(body.toByteArray()) }
            }
            val status = connection.responseCode
            val own = status < 300 || (connection.contentType ?: "").startsWith("application/problem+json")
            if (own) status else null
        } catch (error: IOException) {
            null
        } finally {
            connection.disconnect()
        }
    }

    private fun devicePath() = "/v1/me/devices/$installation"

    private fun wasHere(nid: String) = synchronized(lock) { read("seen").has(nid) }

    private fun remember(nid: String, tag: String) = synchronized(lock) {
        val seen = read("seen").put(nid, JSONObject().put("tag", tag).put("at", System.currentTimeMillis()))
        val oldest = seen.keys().asSequence().sortedBy { seen.getJSONObject(it).getLong("at") }.toList()
        for (old in oldest.dropLast(SEEN_KEPT)) seen.remove(old)
        write { putString("seen", seen.toString()) }
    }

    /** True when `other` was drawn under the same tag after `nid`. */
    private fun isOver(seen: JSONObject, other: String, nid: String, tag: String): Boolean {
        val one = seen.getJSONObject(other)
        val at = seen.optJSONObject(nid)?.optLong("at") ?: Long.MAX_VALUE
        return one.getString("tag") == tag && one.getLong("at") >= at
    }

    private fun read(name: String) = try {
        JSONObject(store.getString(name, null) ?: "{}")
    } catch (error: JSONException) {
        JSONObject()
    }

    private fun readList(name: String) = try {
        JSONArray(store.getString(name, null) ?: "[]")
    } catch (error: JSONException) {
        JSONArray()
    }

    private fun write(change: SharedPreferences.Editor.() -> SharedPreferences.Editor) {
        store.edit().change().commit()
    }

    private fun now(): String {
        val format = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT)
        format.timeZone = TimeZone.getTimeZone("UTC")
        return format.format(Date())
    }

    companion object {
        /** Firebase uses it for what it draws itself. */
        const val NOTIFICATION_ID = 0
        private const val TIMEOUT_MS = 5_000
        private const val FIRST_WAIT_MS = 5_000L
        private const val LONGEST_WAIT_MS = 300_000L
        private const val SAY_AGAIN_MS = 7L * 86_400_000
        private const val RECEIPTS_KEPT = 200
        private const val SEEN_KEPT = 200
    }
}
