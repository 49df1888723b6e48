/**
 * The protocol between pages and server, as signaling/messages.py has it. A Python test compares
 * kinds and field names of both, so keep one field a line.
 *
 * Units: `_ms` milliseconds, `_fen` minor units of the currency, `_at` RFC 3339 UTC.
 */

export type Mode = "voice" | "video";
export type Party = "patient" | "physician";
export type State =
  | "created"
  | "waiting"
  | "offered"
  | "connecting"
  | "active"
  | "held"
  | "interrupted"
  | "ended"
  | "cancelled"
  | "abandoned"
  | "declined"
  | "expired"
  | "no_show_patient"
  | "no_show_physician"
  | "failed";
export type EndCause =
  | "patient_hangup"
  | "physician_finish"
  | "media_lost_patient"
  | "media_lost_physician"
  | "quota_exhausted"
  | "max_duration"
  | "admin"
  | "node_lost"
  | "setup_failed";
export type Pause =
  | "connecting"
  | "held"
  | "patient_silent"
  | "physician_silent"
  | "both_silent"
  | "hung_up"
  | "quota_exhausted";
export type Outcome = "advised" | "follow_up" | "see_in_person" | "other";
export type GoodbyeCode =
  | "moved"
  | "signed_out"
  | "removed"
  | "flooding"
  | "malformed"
  | "server_stopping";
export type GuestRole = "specialist" | "family" | "interpreter" | "nurse";
export type RoomRole = "patient" | "physician" | "specialist" | "family" | "interpreter" | "nurse";

// --- connecting

export interface PatientAuth {
  token: string;
  page: string;
  after: number;
}

export interface ConsoleAuth {
  page: string;
  consult_id: string | null;
  after: number;
}

export interface GuestAuth {
  token: string;
  page: string;
  after: number;
}

// --- commands of the patient

export interface Join {
  kind: "join";
  id: string;
  mode: Mode;
  tariff_digest: string;
  terms_version: string;
  language: string;
}

export interface PatientOffer {
  kind: "offer";
  id: string;
  connection_id: string;
  sdp: string;
  screen_mid: string | null;
}

export interface AnswerMode {
  kind: "answer_mode";
  id: string;
  proposal_id: string;
  accept: boolean;
}

export interface PatientSetMode {
  kind: "set_mode";
  id: string;
  mode: "voice";
}

export interface AnswerRecording {
  kind: "answer_recording";
  id: string;
  recording_id: string;
  accept: boolean;
  terms_version: string;
}

export interface PatientStopRecording {
  kind: "stop_recording";
  id: string;
}

export interface HangUp {
  kind: "hang_up";
  id: string;
}

export interface Rejoin {
  kind: "rejoin";
  id: string;
}

export interface Leave {
  kind: "leave";
  id: string;
}

export interface Probe {
  kind: "probe";
  id: string;
  sdp: string;
}

export type PatientCommand =
  | Join
  | PatientOffer
  | AnswerMode
  | PatientSetMode
  | AnswerRecording
  | PatientStopRecording
  | HangUp
  | Rejoin
  | Leave
  | Probe;

// --- commands of the physician

export interface Take {
  kind: "take";
  id: string;
  consult_id: string | null;
}

export interface PhysicianOffer {
  kind: "offer";
  id: string;
  consult_id: string;
  connection_id: string;
  sdp: string;
  screen_mid: string | null;
}

export interface Hold {
  kind: "hold";
  id: string;
  consult_id: string;
}

export interface Resume {
  kind: "resume";
  id: string;
  consult_id: string;
}

export interface PhysicianSetMode {
  kind: "set_mode";
  id: string;
  consult_id: string;
  mode: Mode;
}

export interface Record {
  kind: "record";
  id: string;
  consult_id: string;
}

export interface PhysicianStopRecording {
  kind: "stop_recording";
  id: string;
  consult_id: string;
}

export interface PutBack {
  kind: "put_back";
  id: string;
  consult_id: string;
}

export interface Finish {
  kind: "finish";
  id: string;
  consult_id: string;
  outcome: Outcome | null;
}

export interface Invite {
  kind: "invite";
  id: string;
  consult_id: string;
  role: GuestRole;
  name: string;
}

export interface RemoveGuest {
  kind: "remove_guest";
  id: string;
  consult_id: string;
  guest_id: string;
}

export interface StopScreen {
  kind: "stop_screen";
  id: string;
  consult_id: string;
}

export type ConsoleCommand =
  | Take
  | PhysicianOffer
  | Hold
  | Resume
  | PhysicianSetMode
  | Record
  | PhysicianStopRecording
  | PutBack
  | Finish
  | Invite
  | RemoveGuest
  | StopScreen;

// --- commands of a guest

export interface GuestOffer {
  kind: "offer";
  id: string;
  connection_id: string;
  sdp: string;
  screen_mid: string | null;
}

export interface GuestLeave {
  kind: "leave";
  id: string;
}

export type GuestCommand =
  | GuestOffer
  | GuestLeave;

/** A command before it has its id. */
export type Unsent<C> = C extends { id: string } ? Omit<C, "id"> : never;

// --- what pages receive

export interface Service {
  physician_name: string;
  physician_title: string;
  organization: string;
  department: string;
}

export interface Price {
  voice_fen_per_min: number;
  video_fen_per_min: number;
  currency: string;
  initial_s: number;
  increment_s: number;
  minimum_fen: number;
  free_s: number;
  cap_fen: number | null;
  fee_on_top: string;
  insurer_base_fen: number;
  digest: string;
}

export interface Prepaid {
  limit_fen: number;
  used_fen: number;
  voice_left_s: number | null;
  video_left_s: number | null;
}

export interface PrepaidLeft {
  limit_fen: number;
  used_fen: number;
  left_ms: number | null;
}

export interface Proposal {
  id: string;
  mode: Mode;
  fen_per_min: number;
}

export interface Recording {
  id: string;
  state: "proposed" | "on" | "failed";
  terms_version: string;
}

export type ChargeStep =
  | "waived"
  | "allowance"
  | "increment"
  | "price"
  | "sum"
  | "minimum"
  | "cap"
  | "charge"
  | "insurer"
  | "patient";

export interface ChargeLine {
  step: ChargeStep;
  mode: Mode | null;
  seconds: number | null;
  fen_60ths: number | null;
  fen: number | null;
}

export interface Summary {
  voice_s: number;
  video_s: number;
  charge_fen: number;
  currency: string;
  lines: ChargeLine[];
  end_cause: EndCause | null;
  final: boolean;
  record_id: string | null;
}

export interface ConsultView {
  consult_id: string;
  n: number;
  state: State;
  mode: Mode;
  pause: Pause | null;
  patient_online: boolean;
  physician_online: boolean;
  proposal: Proposal | null;
  recording: Recording | null;
  service: Service;
  price: Price;
  prepaid: Prepaid | null;
  created_at: string;
  answer_by_ms: number | null;
  summary: Summary | null;
  guests: readonly GuestCard[];
}

export interface GuestCard {
  id: string;
  role: GuestRole;
  name: string;
  here: boolean;
}

export interface PatientView extends ConsultView {
  party: "patient";
  patient_name: string;
  terms_version: string;
  may_rejoin: boolean;
}

export interface PhysicianView extends ConsultView {
  party: "physician";
  patient_name: string;
  complaint: string;
  returning: boolean;
  waited_ms: number;
  outcome: string | null;
  may_record: boolean;
}

export interface Event {
  n: number;
  kind: string;
  at: string;
  by: "patient" | "physician" | "guest" | "server" | "clinic";
}

export interface QueueItem {
  consult_id: string;
  patient_name: string;
  department: string;
  complaint: string;
  mode: Mode;
  waiting_since: string;
  online: boolean;
  returning: boolean;
  mine: boolean;
}

export interface PatientHello {
  kind: "hello";
  events: Event[];
  view: PatientView;
}

export interface ConsoleHello {
  kind: "hello";
  physician_name: string;
  physician_title: string;
  queue: QueueItem[];
  events: Event[];
  call: PhysicianView | null;
}

export interface PatientUpdate {
  kind: "consult";
  event: Event;
  view: PatientView;
}

export interface PhysicianUpdate {
  kind: "consult";
  event: Event;
  view: PhysicianView;
}

export interface Place {
  kind: "place";
  place: number;
  waiting: number;
}

export interface MeterTick {
  kind: "meter";
  consult_id: string;
  voice_ms: number;
  video_ms: number;
  charge_fen: number;
  currency: string;
  running: boolean;
  pause: Pause | null;
  prepaid: PrepaidLeft | null;
}

export interface IceServer {
  urls: string[];
  username: string | null;
  credential: string | null;
}

export interface IceServers {
  kind: "ice_servers";
  servers: IceServer[];
  ttl_s: number;
}

export type LineReason = "ok" | "upload_weak" | "download_weak" | "delay" | "silent";

export interface LineReading {
  rtt_ms: number | null;
  jitter_ms: number | null;
  loss_pct: number | null;
  bitrate_bps: number;
  fps: number;
  mos: number | null;
}

export interface Line {
  participant_id: string;
  level: 0 | 1 | 2 | 3 | 4;
  reason: LineReason;
  up: LineReading;
  down: LineReading;
}

export interface Quality {
  kind: "quality";
  consult_id: string;
  lines: Line[];
}

export interface LineTrouble {
  kind: "line";
  consult_id: string;
  weak: Party[];
  capped: Party[];
}

export interface QueueChange {
  kind: "queue";
  upsert: QueueItem[];
  remove: string[];
}

export interface Released {
  kind: "released";
  consult_id: string;
}

export interface Problem {
  code: string;
  message: string;
}

export interface Answer {
  kind: "answer";
  command_id: string;
  ok: boolean;
  result: { [name: string]: string };
  error: Problem | null;
}

export interface ReconnectMedia {
  kind: "reconnect_media";
  consult_id: string;
}

export interface Goodbye {
  kind: "goodbye";
  code: GoodbyeCode;
}

export interface GuestView {
  consult_id: string;
  n: number;
  state: State;
  mode: Mode;
  pause: Pause | null;
  open: boolean;
  recorded: boolean;
  me: GuestCard;
  patient_name: string;
  physician_name: string;
  physician_title: string;
  organization: string;
}

export interface GuestHello {
  kind: "hello";
  view: GuestView;
}

export interface GuestUpdate {
  kind: "consult";
  view: GuestView;
}

export interface Elapsed {
  kind: "elapsed";
  consult_id: string;
  elapsed_ms: number;
  running: boolean;
  pause: Pause | null;
}

export interface Seated {
  id: string;
  role: RoomRole;
  name: string;
  audio_mid: string | null;
  video_mid: string | null;
}

export interface Roster {
  kind: "roster";
  consult_id: string;
  participants: readonly Seated[];
  seats: number;
  screen_by: string | null;
  screen_mid: string | null;
}

export type PatientMessage =
  | PatientHello
  | PatientUpdate
  | Place
  | MeterTick
  | IceServers
  | Quality
  | LineTrouble
  | Roster
  | Answer
  | ReconnectMedia
  | Goodbye;

export type ConsoleMessage =
  | ConsoleHello
  | PhysicianUpdate
  | QueueChange
  | MeterTick
  | Quality
  | LineTrouble
  | Roster
  | Released
  | IceServers
  | Answer
  | ReconnectMedia
  | Goodbye;

export type GuestMessage =
  | GuestHello
  | GuestUpdate
  | Elapsed
  | Quality
  | Roster
  | IceServers
  | Answer
  | ReconnectMedia
  | Goodbye;
