package admin

// Types of errors of reports that no single route owns.
const missingKeyID = "/errors/missing-key-id"

var (
	reportInvalid = label{"/errors/invalid-reporting-request", "invalid reporting request"}
	reportFailed  = label{"/errors/event-reporting-manager", "event reporting error"}
	idsInvalid    = label{missingKeyID, "key id query param is missing"}
)

// reportRoutes are the searches of events and the reports.
var reportRoutes = []route{
	{"POST", "/api/v2/events", (*api).searchEvents, wording{
		invalid: label{"/errors/validation", "get events request validation failed"},
		failed:  label{"/errors/event-manager", "getting events errored out"}}},
	{"POST", "/api/reporting/events", (*api).reportEvents, wording{invalid: reportInvalid, failed: reportFailed}},
	{"POST", "/api/reporting/events-by-day", (*api).reportDays, wording{invalid: reportInvalid, failed: reportFailed}},
	{"POST", "/api/reporting/top-keys", (*api).topKeys, wording{
		invalid: reportInvalid,
		failed:  label{"/errors/event-reporting-manager", "top key reporting error"}}},
	{"GET", "/api/reporting/usage", (*api).usage, wording{invalid: reportInvalid, failed: reportFailed}},
	{"GET", "/api/reporting/user-ids", (*api).userIDs, wording{
		invalid: idsInvalid,
		failed:  label{"/errors/key-reporting-manager", "getting user ids error"}}},
	{"GET", "/api/reporting/custom-ids", (*api).customIDs, wording{
		invalid: idsInvalid,
		failed:  label{"/errors/key-reporting-manager", "getting custom ids error"}}},
}
