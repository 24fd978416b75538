export { codeOf, hostError } from '../base/host-errors.ts';
